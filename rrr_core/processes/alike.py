"""Whether the processes of a launch would write the same texts: each has its own packages, models and files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rrr_core.errors import RrrError
from rrr_core.processes.shards import Executor
from rrr_core.runs.stage import first_difference


def check_alike(executor: Executor, folder: Path, identity: Mapping[str, Any]) -> None:
    """Hold what decides this process's texts in a stage's folder against the first process's.

    All processes call it at the same place. Raises RrrError naming the first difference.
    """
    own = json.loads(json.dumps(identity))
    if difference := first_difference(executor.agree(f"what decides {folder}", own), own):
        key, first, here = (one if isinstance(one, str) else json.dumps(one, default=str) for one in difference)
        raise RrrError(
            f"{folder} would get other texts from this process than from the first: {key} is {here} here and {first}"
            " there. Install the same packages and models everywhere."
        )
