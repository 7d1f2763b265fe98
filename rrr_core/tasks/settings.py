"""The settings of a task and its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rrr_core.config.option import option
from rrr_core.config.settings import Settings
from rrr_core.errors import RrrError


@dataclass(frozen=True)
class TaskSettings(Settings):
    """Which task, and how to load its rows."""

    name: str | None = option(None, "The task's name; where several are taken, their names with spaces between.")
    with_: tuple[str, ...] = option((), "An overlay stacked on the task: NAME, or NAME:KEY=VALUE,… May be repeated.")
    data: Mapping[str, str] = option({}, "An option of the task's data set. May be repeated.")

    def split(self) -> tuple[TaskSettings, ...]:
        """The settings of each named task.

        An overlay or a data option that begins with one's name and a colon is that task's; any other is for all.
        Raises RrrError for a task that is named twice.

        >>> both = TaskSettings("countdown apigen", ("think",), {"countdown:numbers": "3"})
        >>> [(each.name, each.with_, each.data) for each in both.split()]
        [('countdown', ('think',), {'numbers': '3'}), ('apigen', ('think',), {})]
        """
        names = (self.name or "").split()
        if len(names) < 2:
            return (self,)
        for name in names:
            if names.count(name) > 1:
                raise RrrError(f"the task {name!r} is named twice: name it once.")
        return tuple(TaskSettings(name, self._overlays_of(name, names), self._data_of(name, names)) for name in names)

    def _overlays_of(self, name: str, names: Sequence[str]) -> tuple[str, ...]:
        found = [_owner(overlay, names) for overlay in self.with_]
        return tuple(overlay for owner, overlay in found if owner in (None, name))

    def _data_of(self, name: str, names: Sequence[str]) -> dict[str, str]:
        found = [(*_owner(key, names), value) for key, value in self.data.items()]
        # A task's own value overrides the one for all.
        return {key: value for of in (None, name) for owner, key, value in found if owner == of}


def _owner(text: str, names: Sequence[str]) -> tuple[str | None, str]:
    """The task that a text begins with, and the rest; None and the text if it names none."""
    name, colon, rest = text.partition(":")
    return (name, rest) if colon and name in names else (None, text)
