"""Renamed settings: old names and values still work, with a note that gives the new one.

A value recorded under an old name is the same setting, so a run started by an earlier version can be resumed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rrr_core.config.sections import SECTIONS, section_class


@dataclass(frozen=True, slots=True)
class Renamed:
    """The new name of a setting."""

    key: str
    values: Mapping[str, str] = field(default_factory=dict)
    """Old value → new value; all others are unchanged."""


SETTINGS: Mapping[str, Mapping[str, Renamed]] = {
    "train": {
        "alike": Renamed("zero_variance", {"leave-out": "drop", "refill": "resample"}),
        "refill_rounds": Renamed("resample_rounds"),
        "live": Renamed("on_policy_attempts"),
    }
}
"""Section → old key → its new name."""


def former_keys(section: str, key: str) -> list[str]:
    """The former names of a setting."""
    return [old for old, new in SETTINGS.get(section, {}).items() if new.key == key]


def former_values(section: str, key: str) -> dict[str, str]:
    """Old value of a setting → new value."""
    return {
        old: value
        for each in SETTINGS.get(section, {}).values()
        if each.key == key
        for old, value in each.values.items()
    }


def with_new_names(
    section: str, values: Mapping[str, Any], say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """A section's values under their new names; `say` receives a line for each renamed one."""
    named: dict[str, Any] = {}
    for old, value in values.items():
        renamed = SETTINGS.get(section, {}).get(old)
        key = renamed.key if renamed else old
        new = former_values(section, key).get(value, value) if isinstance(value, str) else value
        if renamed:
            say(f"[{section}] {old} is called {key} now.")
        if new != value:
            say(f"[{section}] {key}: {value!r} is called {new!r} now.")
        named[key] = new
    return named


def identity_of_today(kind: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded identity as this version would write it, for comparing it with `now`.

    `kind` is a stage, or `run` for a whole run. Renamed settings get their new names, and settings that are newer than
    the record their defaults, with which nothing changes.
    """
    sections = {section: section for section in SECTIONS} if kind == "run" else {"settings": kind}
    return {
        key: _section_of_today(sections[key], value, now.get(key))
        if sections.get(key) in SECTIONS and isinstance(value, Mapping)
        else value
        for key, value in {**before, **_model(before.get("model"))}.items()
    }


def _section_of_today(section: str, before: Mapping[str, Any], now: Any) -> dict[str, Any]:
    values = with_new_names(section, before)
    newer = set(now) - set(values) if isinstance(now, Mapping) else set()
    fields = dataclasses.fields(section_class(section)) if newer else ()
    defaults = {field.name: field.default for field in fields if field.name in newer}
    return {**values, **{name: _as_json(default) for name, default in defaults.items()}}


def _as_json(default: Any) -> Any:
    """A default as a manifest holds it; a mapping's, made by a factory, is empty."""
    if default is dataclasses.MISSING:
        return {}
    return list(default) if isinstance(default, tuple) else default


def _model(described: Any) -> dict[str, Any]:
    """A served model without the version of the client that earlier versions asked with, which decides no text."""
    if not isinstance(described, Mapping) or described.get("backend") != "server":
        return {}
    return {"model": {key: value for key, value in described.items() if key != "openai"}}
