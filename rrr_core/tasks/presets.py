"""Presets: the settings a task suggests for `rrr demo` and `rrr warmup`.

They override the defaults, the user's settings override them, and they are validated like the user's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rrr_core.config.renamed import with_new_names
from rrr_core.config.sections import section_class
from rrr_core.config.settings import BadValue, settings_of
from rrr_core.errors import PluginError, RrrError, nearest
from rrr_core.tasks.loading import load_task
from rrr_core.tasks.settings import TaskSettings
from rrr_core.tasks.task import Task

COMMANDS: Mapping[str, tuple[str, ...]] = {"demo": ("mine", "train", "eval"), "warmup": ("warmup",)}
"""Command a task may have presets for → the sections of settings they may set."""


def presets_of(settings: TaskSettings, command: str) -> dict[str, dict[str, Any]]:
    """Section → field → value that the named tasks suggest for a command; empty if no task is named.

    Of several tasks only what can be joined counts: the items of their lists. Raises PluginError if a plugin suggests
    something that cannot be set, and RrrError if the task has no demo.
    """
    if not settings.name:
        return {}
    if len(several := settings.split()) > 1:
        return _joined([presets_of(each, command) for each in several], command)
    task = load_task(settings.name, settings.with_)
    presets = checked_presets(task, command)
    if command == "demo" and not presets:
        raise RrrError(f"The task {task.name!r} has no demo: its plugin suggests no settings for one. Use `rrr run`.")
    return presets


def checked_presets(task: Task, command: str) -> dict[str, dict[str, Any]]:
    """What the task suggests for a command, each value parsed by its setting. Raises PluginError."""
    who = task.who("rrr_presets")
    checked: dict[str, dict[str, Any]] = {}
    for section, values in task.presets(command).items():
        if section not in COMMANDS[command]:
            known = COMMANDS[command]
            raise PluginError(f"{who}: `rrr {command}` has no section {section!r}.{nearest(str(section), known)}")
        settings = {setting.field: setting for setting in settings_of(section_class(section))}
        if not isinstance(values, Mapping):
            raise PluginError(f"{who}: the section {section!r} is {type(values).__name__}, not a mapping of settings.")
        checked[section] = {}
        for name, value in with_new_names(section, values).items():
            if name not in settings:
                raise PluginError(f"{who}: [{section}] has no setting {name!r}.{nearest(str(name), settings)}")
            try:
                given = list(value) if isinstance(value, tuple) else value
                checked[section][name] = settings[name].from_toml(given)
            except BadValue as error:
                raise PluginError(f"{who}: [{section}] {name}: {error}") from None
    return checked


def _joined(given: Sequence[Mapping[str, Mapping[str, Any]]], command: str) -> dict[str, dict[str, Any]]:
    """The lists that several tasks suggest, one after another; where one suggests none, the default's items count."""
    joined: dict[str, dict[str, Any]] = {}
    for section in COMMANDS[command]:
        for setting in settings_of(section_class(section)):
            suggested = [each.get(section, {}).get(setting.field, setting.default) for each in given]
            items = dict.fromkeys(item for each in suggested for item in each) if setting.kind == "list" else {}
            if items:
                joined.setdefault(section, {})[setting.field] = tuple(items)
    return joined
