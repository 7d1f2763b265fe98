"""The settings of a task and its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rrr_core.config.option import option
from rrr_core.config.settings import Settings


@dataclass(frozen=True)
class TaskSettings(Settings):
    """Which task, and how to load its rows."""

    name: str | None = option(None, "The task's name.")
    with_: tuple[str, ...] = option((), "An overlay stacked on the task: NAME, or NAME:KEY=VALUE,… May be repeated.")
    data: Mapping[str, str] = option({}, "An option of the task's data set. May be repeated.")
