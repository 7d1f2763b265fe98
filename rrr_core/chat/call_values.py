"""Values of a call's arguments, as families write them. What is read was written by a model: nothing is evaluated."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from rrr_core.hookspecs import Call
from rrr_core.tasks.course_values import DEEPEST_CALL, depth_of

_CONSTANTS = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}
_ATOM = re.compile(r"[^\s,:\[\]{}()<>'\"]+")
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SPACE = re.compile(r"\s*")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
"""The two halves that stand for a character beyond the first 65,536."""


class Malformed(ValueError):
    """A text that is no call."""


def read_json(text: str, place: int) -> tuple[dict[str, Any], int]:
    """The JSON object that begins at `place`, and where it ends. Raises Malformed, also for a key given twice."""
    try:
        value, end = _DECODER.raw_decode(text, _SPACE.match(text, place).end())  # type: ignore[union-attr]
    except (ValueError, RecursionError):
        raise Malformed from None
    if not isinstance(value, dict):
        raise Malformed
    return value, end


def made_call(name: Any, arguments: Any) -> Call:
    """A call of these parts. Raises Malformed unless they are a name and JSON values that can be encoded."""
    if not isinstance(name, str) or not name.strip() or not isinstance(arguments, dict):
        raise Malformed
    if depth_of(arguments) > DEEPEST_CALL:
        raise Malformed
    try:
        json.dumps([name, arguments], ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):  # half a surrogate pair, or no number
        raise Malformed from None
    return Call(name, arguments)


def typed(text: str, schema: Any) -> Any:
    """A value that was written as bare text: JSON, or Python's True, False and None, unless its schema wants a text.

    >>> typed("3", {"type": "integer"}), typed("3", {"type": "string"}), typed("None", {"type": ["string", "null"]})
    (3, '3', None)
    >>> typed("Rome", {"type": "integer"}), typed("3", None)
    ('Rome', 3)
    """
    types = _types(schema)
    if types == {"string"}:
        return text
    if text.strip() in _CONSTANTS:
        value: Any = _CONSTANTS[text.strip()]
    else:
        try:
            value = _DECODER.decode(text)
        except (ValueError, RecursionError):
            return text
    return value if not types or "string" not in types or _name(value) in types else text


def read_own(
    text: str, place: int, quote: str, has_escapes: bool, following: re.Pattern[str]
) -> tuple[Any, re.Match[str]]:
    """The value that begins at `place`, in a notation whose texts stand between quotes, and the match that follows it.

    Without escapes, a text may hold its quote: it ends with the first one that `following` matches after. Raises
    Malformed.
    """
    if not text.startswith(quote, place):
        value, end = _read(text, place, _Notation(quote, has_escapes), 0)
        found = following.match(text, end)
        if found is None:
            raise Malformed
        return value, found
    if has_escapes:
        value, end = _quoted(text, place, _Notation(quote, has_escapes))
        found = following.match(text, end)
        if found is None:
            raise Malformed
        return value, found
    end = start = place + len(quote)
    while (end := text.find(quote, end)) >= 0:
        found = following.match(text, end + len(quote))
        if found is not None:
            return text[start:end], found
        end += len(quote)
    raise Malformed


@dataclass(frozen=True, slots=True)
class _Notation:
    """How a family's own notation writes texts."""

    quote: str
    has_escapes: bool


def _quoted(text: str, place: int, notation: _Notation) -> tuple[str, int]:
    """A text between quotes, and where it ends; without escapes, at the first quote."""
    start = place + len(notation.quote)
    if not notation.has_escapes:
        end = text.find(notation.quote, start)
        if end < 0:
            raise Malformed
        return text[start:end], end + len(notation.quote)
    written = re.compile(rf"((?:[^\\]|\\.)*?){re.escape(notation.quote)}", re.DOTALL).match(text, start)
    if written is None:
        raise Malformed
    return _unescaped(written[1]), written.end()


def _unescaped(text: str) -> str:
    r"""A text without its escapes, which are those of Python and JSON alike; two halves of a pair are one character.

    >>> _unescaped(r"it\'s \ud83d\ude00")
    "it's 😀"
    """

    def one(found: re.Match[str]) -> str:
        if found[1] is not None:
            return chr(int(found[1], 16))
        if found[2] not in _ESCAPES:
            raise Malformed
        return _ESCAPES[found[2]]

    halves = re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", one, text, flags=re.DOTALL)
    return _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), halves)


def _read(text: str, place: int, notation: _Notation, depth: int) -> tuple[Any, int]:
    """A value, and where it ends."""
    place = _after_space(text, place)
    if text.startswith(notation.quote, place):
        return _quoted(text, place, notation)
    if text.startswith('"', place):
        return _json_text(text, place)
    if text[place : place + 1] in ("[", "{"):
        if depth >= DEEPEST_CALL:
            raise Malformed
        return (_read_list if text[place] == "[" else _read_object)(text, place + 1, notation, depth + 1)
    atom = _ATOM.match(text, place)
    if atom is None:
        raise Malformed
    if atom[0] in _CONSTANTS:
        return _CONSTANTS[atom[0]], atom.end()
    try:
        return _DECODER.decode(atom[0]), atom.end()
    except (ValueError, RecursionError):
        raise Malformed from None


def _read_list(text: str, place: int, notation: _Notation, depth: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    while True:
        place = _after_space(text, place)
        if text.startswith("]", place):
            return values, place + 1
        if values:
            place = _after(text, place, ",")
        value, place = _read(text, place, notation, depth)
        values.append(value)


def _read_object(text: str, place: int, notation: _Notation, depth: int) -> tuple[dict[str, Any], int]:
    values: dict[str, Any] = {}
    while True:
        place = _after_space(text, place)
        if text.startswith("}", place):
            return values, place + 1
        if values:
            place = _after_space(text, _after(text, place, ","))
        bare = re.compile(r"[^\s:,{}\[\]\"'<>]+").match(text, place)
        key, place = (bare[0], bare.end()) if bare else _read(text, place, notation, depth)
        if not isinstance(key, str) or key in values:
            raise Malformed
        values[key], place = _read(text, _after(text, _after_space(text, place), ":"), notation, depth)


def _json_text(text: str, place: int) -> tuple[str, int]:
    try:
        value, end = _DECODER.raw_decode(text, place)
    except ValueError:
        raise Malformed from None
    return str(value), end


def _after(text: str, place: int, mark: str) -> int:
    if not text.startswith(mark, place):
        raise Malformed
    return place + len(mark)


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    assert found is not None
    return found.end()


def _types(schema: Any) -> frozenset[str]:
    """The JSON types that a parameter's schema names; empty if it names none."""
    if not isinstance(schema, Mapping):
        return frozenset()
    given = schema.get("type")
    if given is None:
        parts = [*_list(schema.get("anyOf")), *_list(schema.get("oneOf"))]
        named = [_types(part) for part in parts]
        if parts and all(named):
            return frozenset().union(*named)
        choices = _list(schema.get("enum"))
        return frozenset(map(_name, choices))
    return frozenset(each for each in ([given] if isinstance(given, str) else _list(given)) if isinstance(each, str))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _name(value: Any) -> str:
    """The JSON type of a value."""
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Malformed
    return found


def _refuse(constant: str) -> NoReturn:
    raise Malformed(constant)


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse)
