"""The installed engines by name: the core's, and those of other distributions. None is imported.

Other distributions provide theirs through an entry point of the group `rrr.engines`, with the value `module:NAME` of an
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
    """The core's engines and all others; if two distributions claim one name, the error of each names both."""
    ours = [TaskEntry(name, CORE, __version__, TABLE, kind="engine") for name in CORE_ENGINES]
    theirs = find_entries(GROUP, "engine", ours)
    taken = f"{AUTO!r} chooses an engine and cannot be the name of one: "
    return [
        replace(entry, error=f"{taken}{entry.who} must rename its engine.") if entry.name == AUTO else entry
        for entry in theirs
    ]


def other_names() -> list[str]:
    """The names of other distributions' engines, including broken ones, whose own error says more."""
    return [entry.name for entry in find_engines() if entry.value and entry.name not in CORE_ENGINES]
