"""Records read from JSON: every value is checked, and every error names its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from rrr_core.errors import DataError, nearest
from rrr_core.text import shown


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value, and the check for it."""

    words: str
    """For error messages: `a whole number`."""
    holds: Callable[[Any], bool]


def list_of(kind: Kind, words: str) -> Kind:
    """A list of items of one kind."""
    return Kind(words, lambda value: isinstance(value, list) and all(map(kind.holds, value)))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str) and isinstance(value.get("content"), str)


TEXT = Kind("a text", lambda value: isinstance(value, str))
COUNT = Kind("a whole number", lambda value: _is_whole(value) and value >= 0)
NUMBER = Kind("a number", _is_number)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
OBJECT = Kind("a JSON object", lambda value: isinstance(value, dict))
LIST = Kind("a list", lambda value: isinstance(value, list))
TEXTS = list_of(TEXT, "a list of texts")
COUNTS = list_of(COUNT, "a list of whole numbers")
NUMBERS = list_of(NUMBER, "a list of numbers")
MESSAGES = list_of(Kind("a message", _is_message), "a list of messages with 'role' and 'content'")

_MISSING = object()


class Record:
    """A JSON object being read. Its methods raise DataError, naming `place`, for a wrong value.

    >>> Record({"tries": 3}, "shard.jsonl:7", "a mined row").get("tries", COUNT)
    3
    """

    def __init__(self, value: Any, place: str, what: str) -> None:
        self.place, self.what = place, what
        if not isinstance(value, dict):
            raise DataError(f"{place}: {what} must be a JSON object, found {shown(value)}.")
        self.values: Mapping[str, Any] = value

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def get(self, key: str, kind: Kind, default: Any = _MISSING) -> Any:
        """The value of a key. A default, if given, replaces a missing key and null."""
        value = self.values.get(key)
        if value is None and default is not _MISSING:  # first, since most keys of most records are missing
            return default
        if kind.holds(value):
            return value
        return self.refuse(key, kind.words if default is not None else f"{kind.words} or null")

    def refuse(self, key: str, wanted: str) -> NoReturn:
        """Raise DataError: a key's value is not what it must be."""
        found = shown(self.values[key]) if key in self.values else "nothing"
        raise DataError(f"{self.place}: {self.what}'s {key!r} must be {wanted}, found {found}.")

    def has_only(self, known: Collection[str]) -> None:
        """Raise DataError for an unknown key."""
        for key in self.values:
            if key not in known:
                wanted = f"its keys are {', '.join(known)}.{nearest(key, known)}"
                raise DataError(f"{self.place}: {self.what} has no {shown(key)}; {wanted}")
