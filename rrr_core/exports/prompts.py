"""The rows of a task with their prompts: what every export starts from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rrr_core.episode import Messages
from rrr_core.errors import RrrError
from rrr_core.generation.families import family_of
from rrr_core.hookspecs import Model
from rrr_core.tasks import Task

ROWS = 2000
"""Rows an export takes by default: as many as `rrr eval`."""


@dataclass(frozen=True, slots=True)
class PromptedRow:
    """A row and its prompt, as chat messages."""

    index: int
    """The row's place in its split's fixed order."""
    row: Mapping[str, Any]
    messages: Messages


def named_model(name: str, family: str | None = None) -> Model:
    """The model that prompts are written for, as a plugin sees it; its family follows from the name if not given.

    It takes no tools: these packages parse tool calls into a format of their own, and the model's raw text is lost.
    """
    return Model(name or "generic", family or family_of(name))


def prompted_rows(
    task: Task, split: str, rows: int | None, data: Mapping[str, str] | None, model: Model
) -> Iterator[PromptedRow]:
    """The first `rows` rows of a split (all where None), lazily and in their fixed order.

    Raises RrrError like the plugin's hooks, and if `rows` is below 1.
    """
    if rows is not None and rows < 1:
        raise RrrError(f"rows = {rows}: at least 1 is needed, or None for all.")
    for index, row in enumerate(itertools.islice(task.load_dataset(split, data), rows)):
        yield PromptedRow(index, row, task.prompt(row, model))
