"""Settings dataclasses as click options, and click's values as settings dataclasses."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from rrr_core.config.files import read_config
from rrr_core.config.naming import options_of
from rrr_core.config.renamed import former_keys, former_values
from rrr_core.config.sections import section_class
from rrr_core.config.settings import BadValue, Setting, build, settings_of
from rrr_core.errors import RrrError
from rrr_core.processes.world import world_of


class SettingType(click.ParamType):  # type: ignore[type-arg]
    """Parses a string by the setting's one definition. A renamed value is read as its new name."""

    def __init__(self, section: str, setting: Setting) -> None:
        self.setting, self.former = setting, former_values(section, setting.key)
        self.name = {"whole number": "integer", "mapping": "key=value", "list": "text"}.get(setting.kind, setting.kind)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in self.former:
            _note(f"{value} is called {self.former[value]} now.")
        try:
            return self.setting.from_text(self.former.get(value, value))
        except BadValue as error:
            self.fail(str(error), param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        further = ["NAME"] if self.setting.further else []
        return "|".join([*self.setting.choices, *further]) if self.setting.choices else self.name.upper()


class SettingOption(click.Option):
    """A setting's option. Its value is None if the user did not give it."""

    def __init__(self, section: str, setting: Setting, prefix: str) -> None:
        self.section = section
        name = option_name(setting, prefix)
        if setting.kind == "switch":
            names = [f"--{name}/--no-{name}"]
            super().__init__([*names, parameter(section, setting)], default=None, help=_help(setting))
        else:
            super().__init__(
                [f"--{name}", parameter(section, setting)],
                type=SettingType(section, setting),
                multiple=setting.kind in ("list", "mapping"),
                default=None,
                help=_help(setting),
            )


class FormerOption(SettingOption):
    """An option's former name. It still works, prints the new name, and is hidden from the help."""

    def __init__(self, section: str, setting: Setting, prefix: str, former: str) -> None:
        super().__init__(section, replace(setting, key=former, field=former), prefix)
        if isinstance(self.type, SettingType):
            self.type = SettingType(section, setting)
        self.hidden = True
        self.new_name = option_name(setting, prefix)

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """The value; if one was given, print the new name first."""
        given = super().process_value(ctx, value)
        if given is not None:
            _note(f"{self.opts[0]} is called --{self.new_name} now.")
        return given


def _note(line: str) -> None:
    """Of a launch, one process says what all would: the one that started the others, or else the first."""
    if (world := world_of(os.environ)).leads and not world.watched:
        click.echo(f"rrr: note: {line}", err=True)


def parameter(section: str, setting: Setting) -> str:
    """The parameter name under which click passes the option's value."""
    return f"{section}__{setting.field}"


def option_name(setting: Setting, prefix: str) -> str:
    """The setting `max_tokens` as `max-tokens`, or `mine-max-tokens` with a prefix."""
    key = setting.key.replace("_", "-")
    return f"{prefix}-{key}" if prefix else key


def _help(setting: Setting) -> str:
    limits = []
    if setting.minimum is not None:
        limits.append(f"at least {setting.minimum:g}")
    if setting.maximum is not None:
        limits.append(f"at most {setting.maximum:g}")
    match setting.default:
        case bool():
            limits.insert(0, f"default: {'on' if setting.default else 'off'}")
        case None | "" | ():
            pass
        case tuple():
            limits.insert(0, f"default: {', '.join(setting.default)}")
        case Mapping():
            pass
        case _:
            limits.insert(0, f"default: {setting.default}")
    return f"{setting.help}  [{'; '.join(limits)}]" if limits else setting.help


class SettingsCommand(click.Command):
    """A command that lists its options section by section in its help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Argument):
                continue
            record = parameter.get_help_record(ctx)
            if record is not None:
                section = getattr(parameter, "section", "")
                groups.setdefault(section, []).append(record)
        for section in sorted(groups, key=lambda name: name != ""):
            with formatter.section(f"Options of {section}" if section else "Options"):
                formatter.write_dl(groups[section])


def with_settings(
    *sections: str,
    prefixed: tuple[str, ...] = (),
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    task_presets: str | None = None,
    several_tasks: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `--config` and one option for every setting of `sections` and, prefixed, of `prefixed`.

    The command gets one argument per section, named after it: the settings dataclass. The command line overrides the
    file, the file overrides the task's own presets for the command `task_presets`, those override `presets`, and those
    override the defaults. The task's name is the command's first argument if `task` is among the sections (it then
    comes first) and `presets` alone does not fix the name; with `several_tasks` it may be followed by others.
    """
    presets = presets or {}

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(config: Path | None, **given: Any) -> None:
            from_file = read_config(config, say=_note) if config is not None else {}
            own: Mapping[str, Mapping[str, Any]] = {}
            for section in (*sections, *prefixed):
                settings_class = section_class(section)
                by_user = from_file.get(section, {}), _taken(section, settings_class, given)
                with options_of(section) if section in prefixed else nullcontext():
                    built = build(settings_class, presets.get(section, {}), own.get(section, {}), *by_user)
                    built.check_given({field for layer in by_user for field in layer})
                if section == "task" and several_tasks and built.name:
                    built = replace(built, name=" ".join(_with_patterns(built.name.split())))
                given[section] = built
                if section == "task" and task_presets:
                    from rrr_core.tasks.presets import presets_of

                    own = presets_of(given[section], task_presets)
            function(**given)

        parameters: list[click.Parameter] = [
            click.Option(
                ["--config"],
                type=click.Path(path_type=Path),
                metavar="FILE.toml",
                help="Read settings from this file; options given here override it.",
            )
        ]
        for section in (*sections, *prefixed):
            for setting in settings_of(section_class(section)):
                if section == "task" and setting.field == "name":
                    if task_presets or "name" not in presets.get("task", {}):
                        more: dict[str, Any] = {"nargs": -1, "callback": _joined} if several_tasks else {}
                        name = click.Argument(
                            [parameter(section, setting)],
                            required=False,
                            metavar="TASK..." if several_tasks else "TASK",
                            **more,
                        )
                        parameters.insert(0, name)
                else:
                    shown = replace(setting, default=presets.get(section, {}).get(setting.field, setting.default))
                    prefix = section if section in prefixed else ""
                    parameters.append(SettingOption(section, shown, prefix))
                    parameters += [
                        FormerOption(section, setting, prefix, old) for old in former_keys(section, setting.key)
                    ]
        _refuse_twins(parameters)
        # click lists a command's parameters from the last decorator upwards.
        command.__click_params__ = [*getattr(function, "__click_params__", []), *reversed(parameters)]  # type: ignore[attr-defined]
        return command

    return decorate


def with_some_settings(section: str, *fields: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of these fields of a section, and an argument named after it with the settings."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        settings_class = section_class(section)

        @functools.wraps(function)
        def command(**given: Any) -> None:
            given[section] = build(settings_class, _taken(section, settings_class, given))
            function(**given)

        options: list[click.Parameter] = [
            SettingOption(section, setting, "") for setting in settings_of(settings_class) if setting.field in fields
        ]
        command.__click_params__ = [*getattr(function, "__click_params__", []), *reversed(options)]  # type: ignore[attr-defined]
        return command

    return decorate


def _taken(section: str, settings_class: type[Any], given: dict[str, Any]) -> dict[str, Any]:
    """The section's values that the user gave, removed from click's."""
    values: dict[str, Any] = {}
    for setting in settings_of(settings_class):
        value = given.pop(parameter(section, setting), None)
        if value is None or value == ():
            continue
        values[setting.field] = _mapping(setting, value) if setting.kind == "mapping" else value
    for setting in settings_of(settings_class):
        for former in former_keys(section, setting.key):
            value = given.pop(parameter(section, replace(setting, field=former)), None)
            if value is not None and setting.field in values:
                raise click.UsageError(f"{setting.key} is given twice, once by its former name {former}.")
            if value is not None:
                values[setting.field] = value
    return values


def _joined(_context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]) -> str | None:
    """Several tasks as one setting holds them."""
    return " ".join(names) or None


def _with_patterns(names: Sequence[str]) -> list[str]:
    """The tasks, and for a pattern, such as `reasoning-gym.*`, the installed ones it fits."""
    found: list[str] = []
    for name in names:
        found += [each for each in _fitting(name) if each not in found] if set(name) & set("*?[") else [name]
    return found


def _fitting(pattern: str) -> list[str]:
    """The installed tasks whose name fits a shell's pattern. Raises RrrError if there is none."""
    from rrr_core.tasks import find_tasks

    found = [each.name for each in find_tasks() if fnmatchcase(each.name, pattern)]
    if not found:
        raise RrrError(f"no installed task has a name like {pattern!r}: `rrr tasks` lists them.")
    return found


def _mapping(setting: Setting, pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in pairs:
        if key in values:
            raise click.UsageError(f"--{setting.key}: {key!r} is given twice.")
        values[key] = value
    return values


def _refuse_twins(parameters: list[click.Parameter]) -> None:
    names = [name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)]
    twins = {name for name in names if names.count(name) > 1}
    if twins:
        raise TypeError(f"two sections have an option {', '.join(sorted(twins))}: prefix one of them")
