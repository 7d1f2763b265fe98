"""Rows that contradict themselves: gold calls that the row's own tools do not allow, found with JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rrr_apigen.types import parameters_schema
from rrr_core.row_files import excerpt

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

EMPTY_QUERY = "empty query"
NO_TOOLS = "no tools"
DUPLICATE_TOOLS = "duplicate tool names"
NO_ANSWERS = "no answers"
NOT_OFFERED = "tool not offered"
MISSING_ARGUMENT = "required argument missing"
UNKNOWN_ARGUMENT = "unknown argument"
WRONG_TYPE = "wrong type"
REASONS = (
    EMPTY_QUERY,
    NO_TOOLS,
    DUPLICATE_TOOLS,
    NO_ANSWERS,
    NOT_OFFERED,
    MISSING_ARGUMENT,
    UNKNOWN_ARGUMENT,
    WRONG_TYPE,
)
"""In order of precedence: a row gets the first that applies."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Why a row cannot be used as it is."""

    reason: str
    """One of `REASONS`."""
    detail: str = ""
    """Where in the row, in a few printable words."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def contradiction(row: Mapping[str, Any]) -> Contradiction | None:
    """The first reason why a well-formed row contradicts itself, or None.

    An `int` also counts as a `float`, and a whole `float` as an `int`; a `bool` counts as neither. An argument equal to
    its parameter's default has the right type, whatever the type says.
    """
    tools = {tool["name"]: tool for tool in row["tools"]}
    if not row["query"].strip():
        return Contradiction(EMPTY_QUERY)
    if not tools:
        return Contradiction(NO_TOOLS)
    if len(tools) < len(row["tools"]):
        offered = [tool["name"] for tool in row["tools"]]
        return Contradiction(DUPLICATE_TOOLS, next(excerpt(name) for name in offered if offered.count(name) > 1))
    if not row["answers"]:
        return Contradiction(NO_ANSWERS)
    found = [each for place, call in enumerate(row["answers"], start=1) for each in _faults(call, place, tools)]
    return min(found, key=lambda each: REASONS.index(each.reason), default=None)


def _faults(call: Mapping[str, Any], place: int, tools: Mapping[str, Mapping[str, Any]]) -> Iterator[Contradiction]:
    """What is wrong with one gold call, the `place`-th of its row."""
    where = f"answer {place}, {excerpt(call['name'])}"
    tool = tools.get(call["name"])
    if tool is None:
        yield Contradiction(NOT_OFFERED, where)
        return
    parameters, arguments = tool["parameters"], call["arguments"]
    validator = _validator(json.dumps(parameters, sort_keys=True))
    for error in validator.iter_errors(arguments):
        if error.absolute_path:
            name = error.absolute_path[0]
            if not _is_default(arguments[name], parameters[name]):
                wanted = excerpt(parameters[name]["type"])
                yield Contradiction(WRONG_TYPE, f"{where}, {excerpt(name)} is {excerpt(arguments[name])}, not {wanted}")
        elif error.validator == "required":
            missing = next(name for name in error.validator_value if name not in arguments)
            yield Contradiction(MISSING_ARGUMENT, f"{where}, {excerpt(missing)}")
        else:
            unknown = next(name for name in arguments if name not in parameters)
            yield Contradiction(UNKNOWN_ARGUMENT, f"{where}, {excerpt(unknown)}")


def _is_default(value: Any, definition: Mapping[str, Any]) -> bool:
    return "default" in definition and json.dumps(value) == json.dumps(definition["default"])


@lru_cache(maxsize=4096)
def _validator(parameters: str) -> Draft202012Validator:
    """The validator of a call's arguments; `parameters` is the tool's definition as canonical JSON."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator({**parameters_schema(json.loads(parameters)), "additionalProperties": False})
