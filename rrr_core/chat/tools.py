"""Where a chat template shows tools, and a conversation with tools put there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from rrr_core.errors import DataError
from rrr_core.hookspecs import Message
from rrr_core.tasks.tools import split_tools

ToolsPlace = Literal["argument", "system message"]
"""`argument`: the template takes `tools=`, as nearly all do. `system message`: it reads `tools`, as text, from the
system message, as Phi-4-mini's does."""
PROBE_NAME = "look_for_this_tool"
PROBE: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": PROBE_NAME,
            "description": "A probe.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "A city."}},
                "required": ["city"],
            },
        },
    }
]
"""Tools that show where a template puts some."""


def put_tools(
    place: ToolsPlace, tools: Sequence[dict[str, Any]], messages: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The messages, and the extra arguments of `apply_chat_template`, that show the tools in their place.

    In a system message they are a JSON array of the bare functions, as in Phi-4-mini's model card; if the conversation
    has no such message, an empty one is added.
    """
    if place == "argument":
        return list(messages), {"tools": list(tools)}
    text = json.dumps([tool["function"] for tool in tools], ensure_ascii=False)
    system: dict[str, Any] = {"role": "system", "content": ""}
    if messages and messages[0]["role"] == "system":
        system, messages = messages[0], messages[1:]
    return [{**system, "tools": text}, *messages], {}


def tools_of(conversation: Sequence[Message]) -> tuple[list[dict[str, Any]], Sequence[Message]]:
    """The tools that a conversation begins with, and its other messages. Raises DataError for invalid tools."""
    try:
        return split_tools(conversation)
    except ValueError as error:
        raise DataError(f"A prompt begins with tools that no model can be shown: {error}. Fix what wrote it.") from None


def as_text(tools: Sequence[dict[str, Any]]) -> str:
    """Tools as JSON, without escapes for characters that a template shows verbatim."""
    return json.dumps(tools, ensure_ascii=False)
