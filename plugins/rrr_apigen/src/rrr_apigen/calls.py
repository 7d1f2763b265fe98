"""Calls: the verdict on a model's text, by exact match with the row's calls. VERDICT.md specifies it.

Nothing here evaluates text, and everything runs in time linear in it.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from typing import Any, TypeAlias

from rrr_apigen import differences, wrappings
from rrr_apigen.differences import PARAMETER_NAMES, PARAMETER_VALUES, TOOL_CHOICE
from rrr_apigen.strict_json import Malformed, from_python
from rrr_core import Verdict, failed, passed

__all__ = [
    "CATEGORIES",
    "FORMAT",
    "PARAMETER_NAMES",
    "PARAMETER_VALUES",
    "TOOL_CHOICE",
    "Call",
    "final_answer",
    "gold_calls",
    "verify",
]

FORMAT = "format"
CATEGORIES = (FORMAT, TOOL_CHOICE, PARAMETER_NAMES, PARAMETER_VALUES)
"""The error classes, in order of precedence."""

Call: TypeAlias = dict[str, Any]
"""`{"name": str, "arguments": {…}}`, its numbers as `strict_json` has them."""

MOST_PREPARED = 256
"""Rows whose calls are kept prepared: those of a batch, which has many answers to each."""
_PREPARED: dict[bytes, list[Call]] = {}


def verify(row: Mapping[str, Any], answer: str) -> Verdict:
    """The verdict on the whole text that a model wrote for a row `{"answers": [{"name": …, "arguments": {…}}, …], …}`.

    Raises KeyError, TypeError or ValueError for a row whose calls are malformed: the row is at fault, not
    the answer.
    """
    gold = prepared(row["answers"])
    try:
        calls = _checked(wrappings.find(answer)[0])
    except Malformed as error:
        return failed(FORMAT, str(error))
    if calls == gold:
        return passed()
    difference = differences.find(calls, gold)
    return passed() if difference is None else failed(*difference)


def final_answer(text: str) -> str | None:
    """The array of calls in a text, as the model wrote it, or None if there is none that can be judged."""
    try:
        calls, array = wrappings.find(text)
        _checked(calls)
    except Malformed:
        return None
    return array


def prepared(answers: Any) -> list[Call]:
    """What `gold_calls` gives, worked out once for many answers to a row; nobody may change it.

    Kept by the calls' whole content with its types, in which `1`, `1.0` and `true` differ: a changed row is another.
    """
    try:
        key = marshal.dumps(answers, 2)  # Version 2 has no references, so that equal values give equal bytes.
    except ValueError:  # Malformed: `gold_calls` says why.
        return gold_calls(answers)
    gold = _PREPARED.get(key)
    if gold is None:
        gold = gold_calls(answers)
        if len(_PREPARED) >= MOST_PREPARED:
            _PREPARED.clear()
        _PREPARED[key] = gold
    return gold


def gold_calls(answers: Any) -> list[Call]:
    """A row's calls. Raises TypeError or ValueError if they are malformed."""
    if type(answers) is not list:
        raise TypeError(f"not an APIGen row: its answers are {type(answers).__name__}, not a list")
    calls = []
    for call in answers:
        if type(call) is not dict or not _is_call(call):
            raise ValueError(f"not an APIGen row: {call!a:.80} is no call with a name and arguments")
        calls.append({"name": call["name"], "arguments": from_python(call["arguments"])})
    return calls


def _checked(values: list[Any]) -> list[Call]:
    """The values, if all are calls. Raises Malformed."""
    for value in values:
        if type(value) is not dict or not _is_call(value):
            place = next(place for place, each in enumerate(values, 1) if each is value)
            raise Malformed(f"item {place} is not an object of exactly a name, a string, and arguments, an object")
    return values


def _is_call(value: Mapping[Any, Any]) -> bool:
    return len(value) == 2 and type(value.get("name")) is str and type(value.get("arguments")) is dict
