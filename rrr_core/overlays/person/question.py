"""The question that a row poses, as the person reads it."""

from __future__ import annotations

from functools import cache

from rrr_core.episode import Messages
from rrr_core.hookspecs import Model, Row
from rrr_core.tasks import Task, load_task


def question_of(task: str, row: Row) -> Messages:
    """The chat messages that pose a row, worded as for a model of no particular family and without overlays.

    Raises PluginError where the task cannot word it.
    """
    return _loaded(task).prompt(row, Model("a person"))


@cache
def _loaded(task: str) -> Task:
    return load_task(task)
