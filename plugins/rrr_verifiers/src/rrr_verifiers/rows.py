"""The rows of a split, from a process that loads the task set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rrr_core.row_files import rows_of_process
from rrr_verifiers.options import wanted


def load(task: str, split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of `train` or `test`, as `maker.rows` gives them.

    Task sets draw from global randomness, print and download, none of which may happen where a model is trained.
    Raises DataError for options that name nothing and for a task set that cannot be served.
    """
    wanted(task, options)  # Refused here, before a process is started for it.
    return rows_of_process("rrr_verifiers.maker", {"task": task, "split": split, "options": dict(options)})
