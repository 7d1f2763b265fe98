"""Calls of tools as JSON: in a segment, and as the text that an assistant's message carries beside its content."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rrr_core.hookspecs import Call

CALLS = "calls"
"""The key of that text in a message."""
RESULT_ROLE = "tool"
"""The role of an observation that answers calls."""


def calls_to_json(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """The calls as JSON values."""
    return [{"name": call.name, "arguments": call.arguments} for call in calls]


def calls_from_json(value: Any) -> tuple[Call, ...]:
    """The calls that `calls_to_json` wrote. Raises ValueError for anything else."""
    if not isinstance(value, list):
        raise ValueError("calls are not a list")
    for each in value:
        if not isinstance(each, dict) or set(each) != {"name", "arguments"}:
            raise ValueError("a call is not an object with a name and arguments")
        if not isinstance(each["name"], str) or not isinstance(each["arguments"], dict):
            raise ValueError("a call's name is not a text, or its arguments are not an object")
    return tuple(Call(each["name"], each["arguments"]) for each in value)


def calls_to_text(calls: Sequence[Call]) -> str:
    """The calls as a message's text."""
    return json.dumps(calls_to_json(calls), ensure_ascii=False)


def calls_from_text(text: str) -> tuple[Call, ...]:
    """The calls that `calls_to_text` wrote. Raises ValueError for anything else."""
    return calls_from_json(json.loads(text))
