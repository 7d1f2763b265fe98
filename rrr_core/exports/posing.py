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
"""Rows that an export takes where the user does not say: as many as `rrr eval`."""


@dataclass(frozen=True, slots=True)
class PosedRow:
    """A row, and the messages that pose it."""

    index: int
    """The row's place in its split's fixed order."""
    row: Mapping[str, Any]
    messages: Messages


def named_model(name: str, family: str | None = None) -> Model:
    """What a plugin is told of the model that its prompts are worded for; the family is told by the name if not given.

    It takes no tools: these packages give tool calls a form of their own, and the text that the model wrote is gone.
    """
    return Model(name or "generic", family or family_of(name))


def posed_rows(
    task: Task, split: str, rows: int | None, data: Mapping[str, str] | None, model: Model
) -> Iterator[PosedRow]:
    """The first `rows` rows of a split (all where None), lazily and in their fixed order.

    Raises RrrError as the plugin's hooks do, and where `rows` is below 1.
    """
    if rows is not None and rows < 1:
        raise RrrError(f"rows = {rows}: at least 1 is needed, or None for all.")
    for index, row in enumerate(itertools.islice(task.load_dataset(split, data), rows)):
        yield PosedRow(index, row, task.prompt(row, model))
