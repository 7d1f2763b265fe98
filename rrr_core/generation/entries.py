"""The engines that are installed, by name: the core's, and those that other distributions bring. None is imported.

Other distributions bring theirs by an entry point of the group `rrr.engines`, whose value is `module:NAME` of an
EngineSpec.
"""

from __future__ import annotations

from dataclasses import replace

from rrr_core import __version__
from rrr_core.generation.engines import AUTO, CORE_ENGINES
from rrr_core.tasks.discovery import TaskEntry, find_entries

GROUP = "rrr.engines"
CORE, TABLE = "rrr-core", "rrr_core.generation.engines:CORE_ENGINES"


def find_engines() -> list[TaskEntry]:
    """The core's engines, and all claims of others to a name; where two claim one, the error of each names both."""
    ours = [TaskEntry(name, CORE, __version__, TABLE, kind="engine") for name in CORE_ENGINES]
    theirs = find_entries(GROUP, "engine", ours)
    taken = f"The engine {AUTO!r} is no engine's name, but the choice of one: "
    return [
        replace(entry, error=f"{taken}{entry.who} is to give its engine another.") if entry.name == AUTO else entry
        for entry in theirs
    ]


def other_names() -> list[str]:
    """The names that other distributions' engines have, broken ones included: their own error says more."""
    return [entry.name for entry in find_engines() if entry.value and entry.name not in CORE_ENGINES]
