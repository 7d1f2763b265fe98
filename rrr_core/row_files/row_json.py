"""Strict JSON for rows, as Python's own values: anything JSON parsers disagree about is refused.

Model answers are parsed by `strict_json`, which keeps every number exact.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


def decode(text: str) -> Any:
    """The value of a JSON text.

    Raises ValueError, saying why in one line, for invalid JSON, a repeated key, NaN, Infinity, a number that does not
    fit in a float, and nesting deeper than Python can follow.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def decode_at(text: str, position: int) -> tuple[Any, int]:
    """The value that starts at `position`, and the position after it. Raises ValueError like `decode`."""
    try:
        return _DECODER.raw_decode(text, position)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:40]!a} appears twice in one object")
    return values


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:40]} is too large for a float")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite)
