"""The rows of a split, read lazily from a process that generates them.

Puzzles are generated in a separate process with a fixed hash seed: several of reasoning-gym's generators follow the
order of a set, which differs from process to process. They also print, and set numpy's global random state, which
would affect a training run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rrr_core.row_files import rows_of_process


def load(dataset: str, split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of `train` or `test`, as `maker.rows` gives them.

    Raises DataError for options that the data set does not take, and RuntimeError if the generating process fails.
    """
    return rows_of_process("rrr_reasoning_gym.maker", {"dataset": dataset, "split": split, "options": dict(options)})
