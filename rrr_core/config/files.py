"""Settings from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rrr_core.config.renamed import former_keys, with_new_names
from rrr_core.config.sections import SECTIONS, section_class
from rrr_core.config.settings import BadValue, settings_of
from rrr_core.errors import RrrError, nearest

COMMAND_LINE = frozenset({"processes", "folder", "label", "compare", "failures", "config"})
"""Options that are no settings."""


def read_config(
    path: Path, sections: Sequence[str] = tuple(SECTIONS), say: Callable[[str], None] = lambda _: None
) -> dict[str, dict[str, Any]]:
    """Section → field → value of a TOML file; `say` receives a line for each renamed key or value.

    Raises RrrError naming the file for an unreadable file, an unknown section or key (suggesting the nearest), and a
    value of the wrong type.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RrrError(f"{path}: cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RrrError(f"{path}: not a TOML file: {error}.") from error
    for section, table in tables.items():
        if section in COMMAND_LINE:
            raise RrrError(f"{path}: {section} is no setting: give it on the command line, as --{section}.")
        if section not in sections:
            homes = [] if isinstance(table, dict) else _sections_with(section, sections)
            if homes:
                raise RrrError(f"{path}: {section} is a key of a section: put it under {' or '.join(homes)}.")
            raise RrrError(f"{path}: unknown section [{section}].{nearest(section, sections)}")
        if not isinstance(table, dict):
            raise RrrError(f"{path}: {section} must be a section, written [{section}].")
    return {
        section: _read_section(path, section, with_new_names(section, table, lambda line: say(f"{path}: {line}")))
        for section, table in tables.items()
    }


def _sections_with(key: str, sections: Sequence[str]) -> list[str]:
    """The sections, as they are written, that have this key, under its name of today or a former one."""
    names = {
        section: [
            name
            for setting in settings_of(section_class(section))
            for name in (setting.key, *former_keys(section, setting.key))
        ]
        for section in sections
    }
    return [f"[{section}]" for section, known in names.items() if key in known]


def _read_section(path: Path, section: str, table: Mapping[str, Any]) -> dict[str, Any]:
    known = {setting.key: setting for setting in settings_of(section_class(section))}
    values = {}
    for key, value in table.items():
        if key in COMMAND_LINE - known.keys():
            raise RrrError(f"{path}: [{section}] {key} is no setting: give it on the command line, as --{key}.")
        if key not in known:
            raise RrrError(f"{path}: [{section}] has no key {key!r}.{nearest(key, known)}")
        try:
            values[known[key].field] = known[key].from_toml(value)
        except BadValue as error:
            raise RrrError(f"{path}: [{section}] {key}: {error}") from None
    return values
