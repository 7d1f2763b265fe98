"""A puzzle's metadata as JSON and back: a row holds everything its scorer needs.

Puzzles are not regenerated for scoring: one takes up to seconds, and the result may depend on the process.
Types that JSON cannot distinguish are marked: `(1, 2)` ↔ `{"$tuple": [1, 2]}`, `{1: "a"}` ↔ `{"$pairs": [[1, "a"]]}`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

_MARKS: dict[str, Callable[[Any], Any]] = {
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
    "$pairs": dict,
    "$fraction": Fraction,
}


def encode(value: Any) -> Any:
    """A JSON-able form of `value`. Raises TypeError for a type that `decode` could not restore."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, dict):
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: encode(each) for key, each in value.items()}
        return {"$pairs": [[encode(key), encode(each)] for key, each in value.items()]}
    if isinstance(value, list):
        return [encode(each) for each in value]
    if isinstance(value, tuple):
        return {"$tuple": [encode(each) for each in value]}
    if isinstance(value, (set, frozenset)):
        return {f"${type(value).__name__}": [encode(each) for each in sorted(value, key=repr)]}
    if isinstance(value, Fraction):
        return {"$fraction": str(value)}
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return encode(value.item())
    raise TypeError(f"metadata of the type {type(value).__name__} cannot be kept in a row")


def decode(value: Any) -> Any:
    """The value that `encode` was given; a numpy scalar comes back as a Python number or text."""
    if isinstance(value, list):
        return [decode(each) for each in value]
    if not isinstance(value, dict):
        return value
    for mark, make in _MARKS.items():
        if mark in value:
            return make(decode(value[mark]))
    return {key: decode(each) for key, each in value.items()}
