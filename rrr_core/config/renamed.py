"""Renamed settings: old names and values still work, with a note that gives the new one.

A value recorded under an old name is the same setting, so a run started by an earlier version can be resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


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


def identity_with_new_names(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The identity of a stage or a whole run as this version would write it."""
    sections = {"settings": "train", "train": "train"}
    return {
        key: with_new_names(sections[key], value) if key in sections and isinstance(value, Mapping) else value
        for key, value in {**identity, **_model(identity.get("model"))}.items()
    }


def _model(described: Any) -> dict[str, Any]:
    """A served model without the version of the client that earlier versions asked with, which decides no text."""
    if not isinstance(described, Mapping) or described.get("backend") != "server":
        return {}
    return {"model": {key: value for key, value in described.items() if key != "openai"}}
