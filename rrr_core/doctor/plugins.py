"""What installed distributions provide: tasks, overlays and engines, each loaded to see whether it works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rrr_core.doctor.finding import Finding
from rrr_core.doctor.packages import extras, installed, version_of
from rrr_core.errors import PluginError
from rrr_core.generation.engines import CORE_ENGINES

if TYPE_CHECKING:
    from rrr_core.tasks import TaskEntry


def engines() -> Iterator[Finding]:
    """The engines that `--backend` takes. The core's need their extra; the specs of others are loaded."""
    from rrr_core.generation.entries import find_engines
    from rrr_core.generation.finding import load_engine

    needs = {} if version_of("rrr-core") is None else extras()
    for entry in find_engines():
        try:
            load_engine(entry)
        except PluginError as error:
            cost = f"{_name(entry)} cannot be used; other engines can"
            yield Finding("engines", _name(entry), "broken", str(error), cost)
            continue
        ours = CORE_ENGINES.get(entry.name)
        if ours is None:
            yield Finding("engines", _name(entry), "ok", entry.who)
        elif ours.extra not in needs:
            yield Finding("engines", _name(entry), "unknown", f"rrr-core[{ours.extra}] may be missing")
        elif needs[ours.extra] and all(fits for _, fits in map(installed, needs[ours.extra])):
            yield Finding("engines", _name(entry), "ok", f"rrr-core[{ours.extra}]")
        else:
            yield Finding("engines", _name(entry), "missing", f"needs rrr-core[{ours.extra}]", ours.without)


def tasks() -> Iterator[Finding]:
    """The installed tasks and overlays, each loaded to see whether it works."""
    from rrr_core.tasks import describe_task, find_overlays, find_tasks, load_task

    entries = [*find_tasks(), *find_overlays()]
    if not any(entry.kind == "task" for entry in entries):
        yield Finding("tasks", "tasks", "missing", "none", "nothing to train on; for one, pip install rrr-countdown")
    for entry in entries:
        description = describe_task(entry)
        if description.state == "ok":
            isolated = entry.kind == "task" and not load_task(entry.name).trusted
            detail = f"{entry.who}; its verifier is not trusted: it runs in the sandbox" if isolated else entry.who
            yield Finding("tasks", _name(entry), "ok", detail)
        else:
            cost = f"{_name(entry)} cannot be used; other tasks can"
            yield Finding("tasks", _name(entry), "broken", description.state, cost)


def _name(entry: TaskEntry) -> str:
    """What a person types to use it."""
    option = {"overlay": "--with ", "engine": "--backend "}.get(entry.kind, "")
    return f"{option}{entry.name}"
