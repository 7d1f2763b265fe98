"""Settings that used to be called otherwise: old names and values work, and a note gives the new one.

What an earlier version recorded under an old name is the same setting, so a run that it began can be resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Renamed:
    """What an old setting is called now."""

    key: str
    values: Mapping[str, str] = field(default_factory=dict)
    """Old value → the new one; all others are the same."""


SETTINGS: Mapping[str, Mapping[str, Renamed]] = {
    "train": {
        "alike": Renamed("zero_variance", {"leave-out": "drop", "refill": "resample"}),
        "refill_rounds": Renamed("resample_rounds"),
        "live": Renamed("on_policy_attempts"),
    }
}
"""Section → old key → what it is called now."""


def former_keys(section: str, key: str) -> list[str]:
    """What a setting used to be called."""
    return [old for old, new in SETTINGS.get(section, {}).items() if new.key == key]


def former_values(section: str, key: str) -> dict[str, str]:
    """Old value of a setting → the new one."""
    return {
        old: value
        for each in SETTINGS.get(section, {}).values()
        if each.key == key
        for old, value in each.values.items()
    }


def with_new_names(
    section: str, values: Mapping[str, Any], say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """A section's values under the names they have now; `say` gets a line for each that had another."""
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
    """The identity of a training stage or of a whole run, as this version would write it."""
    sections = {"settings": "train", "train": "train"}
    return {
        key: with_new_names(sections[key], value) if key in sections and isinstance(value, Mapping) else value
        for key, value in identity.items()
    }
