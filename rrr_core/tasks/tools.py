"""The tools a prompt may start with: function schemas in OpenAI's format, as JSON in a message of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from rrr_core.hookspecs import Message

TOOLS_ROLE = "tools"
"""The role of that message. No chat template sees it: the core strips it and passes its tools on as tools."""


def read_tools(text: str) -> list[dict[str, Any]]:
    """The function schemas of a tools message: at least one, each as chat templates expect it.

    `[{"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object", …}}}]`,
    where only the description is optional. Raises ValueError saying what is wrong.
    """
    try:
        tools = json.loads(text, parse_constant=_refuse)
        json.dumps(tools, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:  # lone surrogates among them, which no tokenizer takes
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(tools, list) or not tools:
        raise ValueError("not a JSON array of at least one function schema")
    for place, tool in enumerate(tools):
        _check(place, tool)
    return tools


def split_tools(conversation: Sequence[Message]) -> tuple[list[dict[str, Any]], Sequence[Message]]:
    """The tools a conversation starts with, if any, and its other messages.

    Raises ValueError for a tools message that `read_tools` refuses.
    """
    if not conversation or conversation[0]["role"] != TOOLS_ROLE:
        return [], conversation
    return read_tools(conversation[0]["content"]), conversation[1:]


def _check(place: int, tool: object) -> None:
    if not isinstance(tool, dict) or tool.get("type") != "function" or not isinstance(tool.get("function"), dict):
        raise ValueError(f'tool {place} is not an object with the type "function" and a function')
    function = tool["function"]
    if not isinstance(function.get("name"), str) or not function["name"].strip():
        raise ValueError(f"tool {place} has no name")
    if not isinstance(function.get("parameters"), dict):
        raise ValueError(f"tool {place} has no parameters: a JSON schema of an object")
    if not isinstance(function.get("description", ""), str):
        raise ValueError(f"tool {place} has a description that is not text")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
