"""What this plugin uses of reasoning-gym itself. Importing it takes a second, so functions import it."""

from __future__ import annotations

from typing import Any

PREFIX = "reasoning-gym."
MIXTURES = frozenset({"composite"})
"""Data sets without puzzles of their own."""


def dataset_of(task: str) -> str:
    """The data set's name upstream: `reasoning-gym.gcd` → `gcd`."""
    return task.removeprefix(PREFIX)


def classes(dataset: str) -> tuple[Any, Any]:
    """A data set's class and the dataclass of its configuration. Raises KeyError for an unknown one."""
    from reasoning_gym.factory import DATASETS

    data, configuration = DATASETS[dataset]
    return data, configuration


def datasets() -> list[str]:
    """The names of all data sets that hold puzzles of their own."""
    from reasoning_gym.factory import DATASETS

    return sorted(set(DATASETS) - MIXTURES)


def legs() -> dict[str, int]:
    """Animal → its legs, as `leg_counting` has them."""
    from reasoning_gym.arithmetic.leg_counting import ANIMALS

    return dict(ANIMALS)
