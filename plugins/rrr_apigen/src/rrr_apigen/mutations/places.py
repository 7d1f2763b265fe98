"""Places of a row's calls that a mutation can change, and ways to change one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, TypeAlias

Calls: TypeAlias = list[dict[str, Any]]
Mutate: TypeAlias = Callable[[Calls, random.Random], str | None]
"""Gives an answer made from a copy of a row's calls, or None if the change does not apply."""

Place: TypeAlias = tuple[Any, Any]
"""An object or array, and the key or index of one of its values."""


def places_of(calls: Calls, wanted: Callable[[Any], bool]) -> list[Place]:
    """The places of the argument values of one kind, including nested ones."""
    found: list[Place] = []
    waiting: list[Any] = [call["arguments"] for call in calls]
    while waiting:
        holder = waiting.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            value = holder[key]
            if wanted(value):
                found.append((holder, key))
            if isinstance(value, (dict, list)):
                waiting.append(value)
    return found


def replace(
    calls: Calls, rng: random.Random, wanted: Callable[[Any], bool], change: Callable[[Any], Any]
) -> str | None:
    """The answer with one value of a kind changed."""
    places = places_of(calls, wanted)
    if not places:
        return None
    holder, key = rng.choice(places)
    holder[key] = change(holder[key])
    return json.dumps(calls)


def is_number(value: Any) -> bool:
    return type(value) in (int, float)


def is_boolean(value: Any) -> bool:
    return type(value) is bool


def is_text(value: Any) -> bool:
    return type(value) is str and value != ""


def some(calls: Calls, rng: random.Random, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """One of the wanted calls, or None if there is none."""
    found = [call for call in calls if wanted(call)]
    return rng.choice(found) if found else None


def with_arguments(calls: Calls, rng: random.Random) -> dict[str, Any] | None:
    return some(calls, rng, lambda call: bool(call["arguments"]))


def rewritten(
    calls: Calls,
    rng: random.Random,
    rewrite: Callable[[str], str],
    wanted: Callable[[Any], bool] = lambda _: True,
) -> str | None:
    """The answer with the text of one number changed, chosen among those that JSON writes without an exponent."""
    places = places_of(calls, lambda value: is_number(value) and wanted(value) and "e" not in json.dumps(value))
    if not places:
        return None
    holder, key = rng.choice(places)
    text = json.dumps(holder[key])
    holder[key] = "\x00number"
    return json.dumps(calls).replace('"\\u0000number"', rewrite(text), 1)
