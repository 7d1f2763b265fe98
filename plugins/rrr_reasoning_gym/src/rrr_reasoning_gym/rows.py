"""The rows of a split, read lazily from a process that generates them.

Puzzles are generated in a separate process with a fixed hash seed: several of reasoning-gym's generators follow the
order of a set, which differs from process to process. They also print, and set numpy's global random state, which
would affect a training run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from rrr_core.errors import DataError


def load(dataset: str, split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of `train` or `test`, as `maker.rows` gives them.

    Raises DataError for options that the data set does not take, and RuntimeError if the generating process fails.
    """
    request = json.dumps({"dataset": dataset, "split": split, "options": dict(options)})
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "rrr_reasoning_gym.maker", request],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        ) as maker,
    ):
        assert maker.stdout is not None
        try:
            for line in maker.stdout:
                message = json.loads(line)
                if "refused" in message:
                    raise DataError(message["refused"])
                yield message["row"]
            if maker.wait():
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
                raise RuntimeError(f"the rows of {dataset} could not be made: {last}")
        finally:
            maker.kill()
