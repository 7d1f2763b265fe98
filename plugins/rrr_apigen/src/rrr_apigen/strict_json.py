"""Strict JSON: what a text holds by RFC 8259, nothing looser, with every number exact.

The scanner is the standard library's, which keeps no more than a text's own length; its leniencies are disabled here.
Values come back as Python objects, except numbers: a number is `("number", canonical text)`, which equals exactly the
numbers of the same value, whatever their size, and never a boolean, a string or a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import Any, NoReturn, TypeAlias

DEEPEST = 100
"""Arrays and objects that may be open at once: far from any limit on recursion."""
LONGEST_EXPONENT = 18
"""Digits of an exponent beyond which it is left as written: no number in a row comes near it."""

SPACE = " \t\n\r"
"""JSON's white space."""

NUMBER = "number"
Number: TypeAlias = tuple[str, str]

_SPACES = re.compile(rf"[{SPACE}]*")
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_LONG_INTEGER_BITS = 1_000
"""Python refuses to convert very long integers to text; the lowest possible limit is 640 digits."""


class Malformed(ValueError):
    """The text is malformed; the message says why, in one printable line of ASCII."""


def read(text: str, start: int = 0, may_be_deep: bool = True) -> tuple[Any, int]:
    """The JSON value at a place of a text, and the place where it ends.

    White space before the value is skipped. `may_be_deep=False` skips the depth check if the caller knows that the
    text has at most DEEPEST brackets. Raises Malformed, also for duplicate keys, for NaN and Infinity, and for a value
    that is nested too deep.
    """
    if not text.startswith(("[", "{"), start):
        start = skip_space(text, start)
    if may_be_deep:
        _refuse_depth(text, start)
    try:
        return _scan(text, start)
    except json.JSONDecodeError as error:
        place = error.pos
    except StopIteration as nothing:
        place = nothing.value
    raise Malformed(f"no JSON at character {place + 1}")


def skip_space(text: str, start: int) -> int:
    """The first place at or after `start` that is not white space."""
    return _SPACES.match(text, start).end()  # type: ignore[union-attr]  # it matches the empty string too


def may_be_deep(text: str) -> bool:
    """Whether a text has enough brackets for a value that is nested too deep."""
    return text.count("[") + text.count("{") > DEEPEST


def _refuse_depth(text: str, start: int) -> None:
    """Raise Malformed if the value that starts here is nested too deep; in time linear in the value."""
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text, start):
        letter = match[0][0]
        if letter in "[{":
            depth += 1
            if depth > DEEPEST:
                raise Malformed(f"nested deeper than {DEEPEST}")
        elif letter in "]}":
            depth -= 1
        if depth <= 0:
            return


def integer(text: str) -> Number:
    """The number that a JSON literal without a fraction and an exponent writes.

    >>> integer("-1500") == real("-1.5e3"), integer("-0") == integer("0")
    (True, True)
    """
    if text[-1] != "0":
        return NUMBER, text
    significant = text.rstrip("0")
    zeros = len(text) - len(significant)
    return (NUMBER, f"{significant}e{zeros}") if significant not in ("", "-") else (NUMBER, "0")


def real(text: str) -> Number:
    """The number that any JSON literal writes, in time linear in its length, however large its exponent."""
    mantissa, _, exponent = text.replace("E", "e").partition("e")
    whole, _, fraction = mantissa.partition(".")
    sign = "-" if whole[0] == "-" else ""
    digits = (whole + fraction).lstrip("-0")
    significant = digits.rstrip("0")
    if not significant:
        return NUMBER, "0"
    size = exponent.lstrip("+-0")
    if len(size) > LONGEST_EXPONENT:
        return NUMBER, text
    power = (-1 if exponent[:1] == "-" else 1) * int(size or 0) - len(fraction) + len(digits) - len(significant)
    return NUMBER, f"{sign}{significant}e{power}" if power else sign + significant


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    raise Malformed("a key stands twice in an object")


def _constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=integer, parse_float=real, parse_constant=_constant)
_scan: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined]
"""What `raw_decode` calls, without the call."""


def from_python(value: Any, depth: int = 0) -> Any:
    """A value of a decoded row as `read` gives it: a float is the number that its shortest text writes.

    Raises TypeError for types that JSON does not have, ValueError for values that are not finite or nested too deep.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        return integer(str(value) if value.bit_length() < _LONG_INTEGER_BITS else str(Decimal(value)))
    if kind is float:
        if value - value != 0:
            raise ValueError(f"{value} is no JSON")
        return real(repr(value))
    if depth >= DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST}")
    if kind is list:
        return [from_python(item, depth + 1) for item in value]
    if kind is dict:
        if not all(type(key) is str for key in value):
            raise TypeError("a key is no string")
        return {key: from_python(item, depth + 1) for key, item in value.items()}
    raise TypeError(f"{kind.__name__} is no JSON")


def hashable(value: Any) -> Any:
    """A hashable form of a value: two are equal exactly when the values are."""
    if isinstance(value, dict):
        return frozenset([(key, hashable(item)) for key, item in value.items()])
    if isinstance(value, list):
        return ("list", *map(hashable, value))
    return value


def shown(value: Any) -> str:
    """A value as one printable line of ASCII, whole."""
    if isinstance(value, str):
        return encode_basestring_ascii(value).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown(key)}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, tuple):
        return _shown_number(value[1])
    return json.dumps(value)


def _shown_number(canonical: str) -> str:
    """A number as people write it, if that is short: `15e2` is 1500, `15e-1` is 1.5."""
    digits, _, exponent = canonical.partition("e")
    if not exponent or len(exponent) > 3 or not -12 <= int(exponent) <= 12:
        return canonical
    power = int(exponent)
    if power >= 0:
        return digits + "0" * power
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    digits = digits.rjust(1 - power, "0")
    return f"{sign}{digits[:power]}.{digits[power:]}"
