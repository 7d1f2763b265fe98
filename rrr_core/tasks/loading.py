"""Loading a task: pick its entry, import its module and its overlays', and check all hooks before calling any."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType

from rrr_core.errors import PluginError, nearest
from rrr_core.tasks.advice import OUR_OVERLAYS, import_advice, install_advice, known_tasks, overlay_advice
from rrr_core.tasks.blame import describe_exception
from rrr_core.tasks.discovery import TaskEntry, find_overlays, find_tasks
from rrr_core.tasks.hooks import Plugin, checked_plugin, configured_plugin
from rrr_core.tasks.requests import read_request, write_request
from rrr_core.tasks.task import Task

JUDGING = frozenset({"rrr_verify", "rrr_judge", "rrr_combine"})
"""The hooks that decide or change a verdict."""


@dataclass(frozen=True, slots=True)
class TaskDescription:
    """A task or overlay as listed by `rrr tasks`."""

    entry: TaskEntry
    hooks: tuple[str, ...]
    """The hooks it implements, in the contract's order; empty if it could not be loaded."""
    state: str
    """`ok`, or the error in one line."""


def load_task(name: str, overlays: Sequence[str] = ()) -> Task:
    """The installed task `name` with `overlays` stacked on it; the last is asked first.

    An overlay is requested as `NAME` or `NAME:KEY=VALUE,…`; twice only with different options. Imports these plugins
    and no others. Raises PluginError if one is unknown, claimed twice, made for another core, or broken, and RrrError
    for options that an overlay refuses.
    """
    requests = [read_request(overlay) for overlay in overlays]
    for index, (overlay, options) in enumerate(requests):
        if (overlay, options) in requests[:index]:
            raise PluginError(f"The overlay {write_request(overlay, options)!r} is asked for twice: name it once.")
    entries = [_picked(name, find_tasks(), "task")]
    known = find_overlays() if overlays else []
    for overlay, options in requests:
        entries.append(replace(_picked(overlay, known, "overlay"), options=tuple(options.items())))
    return load_entries(entries)


def load_entries(entries: Sequence[TaskEntry]) -> Task:
    """The task of the first entry with the overlays of the rest, each configured with its entry's options."""
    plugin, *overlays = (configured_plugin(load_plugin(entry)) for entry in entries)
    return Task(plugin, overlays)


def judged_by(task: Task, overlay: str, options: Mapping[str, str]) -> Task:
    """The task with one more overlay stacked on it, which judges answers.

    Raises PluginError as `load_task`, also for an overlay that leaves every verdict as it is.
    """
    entry = replace(_picked(overlay, find_overlays(), "overlay"), options=tuple(options.items()))
    if (overlay, dict(options)) in [(each.name, dict(each.options)) for each in task.entries[1:]]:
        raise PluginError(f"The overlay {write_request(overlay, options)!r} judges for the task already: name another.")
    plugin, *overlays = (configured_plugin(load_plugin(each)) for each in (*task.entries, entry))
    if not JUDGING.intersection(overlays[-1].hooks):
        raise PluginError(f"{entry.who}: the overlay {overlay!r} judges no answers: it has none of {_listed(JUDGING)}.")
    return Task(plugin, overlays)


def describe_tasks(entries: Iterable[TaskEntry]) -> list[TaskDescription]:
    """Each entry as `describe_task` gives it. A module that serves many tasks is checked once."""
    sound: dict[tuple[str, str], tuple[str, ...]] = {}
    descriptions = []
    for entry in entries:
        module = entry.value, entry.kind
        if entry.error is None and module in sound:
            descriptions.append(TaskDescription(entry, sound[module], "ok"))
            continue
        description = describe_task(entry)
        if description.state == "ok":
            sound[module] = description.hooks
        descriptions.append(description)
    return descriptions


def describe_task(entry: TaskEntry) -> TaskDescription:
    """Load one entry to find out whether it works; never raises for a plugin's fault.

    Only an import can show that, and it is cheap: a plugin's module must import nothing heavy (`docs/hooks.md`). An
    entry that already has an error is not imported.
    """
    try:
        if entry.error:
            raise PluginError(entry.error)
        return TaskDescription(entry, load_plugin(entry).hooks, "ok")
    except PluginError as error:
        return TaskDescription(entry, (), str(error))


def load_plugin(entry: TaskEntry) -> Plugin:
    """Import an entry's module and check its hooks. Raises PluginError naming distribution, version, hook and reason.

    An overlay is not configured yet, so one that needs options can be described without them.
    """
    return checked_plugin(entry, import_module(entry, entry.value))


def import_module(entry: TaskEntry, name: str) -> ModuleType:
    """A module of the entry's distribution. Raises PluginError naming distribution, version and reason."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise PluginError(
            f"{entry.who}: its entry point's value {entry.value!r} is not a module's name: "
            f"give it one in its pyproject.toml, or report it to its authors."
        )
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # Even SystemExit: a broken plugin must not take anything else down.
        root = name.partition(".")[0]
        raise PluginError(
            f"{entry.who}: its module {name} cannot be imported: {describe_exception(error, root)}. "
            f"{import_advice(replace(entry, value=name), error)}"
        ) from error


def _listed(hooks: Iterable[str]) -> str:
    return ", ".join(sorted(hooks))


def _picked(name: str, entries: Iterable[TaskEntry], kind: str) -> TaskEntry:
    entries = list(entries)
    for entry in entries:
        if entry.name == name:
            if entry.error:
                raise PluginError(entry.error)
            return entry
    known = {entry.name for entry in entries if entry.value}
    if kind == "task":
        listed = known_tasks()
        suggestion = "" if name in listed else nearest(name, known | set(listed))
        hint = install_advice(name, listed)
    else:
        suggestion = "" if name in OUR_OVERLAYS else nearest(name, known | set(OUR_OVERLAYS))
        hint = overlay_advice(name, known)
    unreadable = "".join(f" {entry.error}" for entry in entries if not entry.value)
    raise PluginError(f"No {kind} {name!r} is installed.{suggestion} {hint}{unreadable}")
