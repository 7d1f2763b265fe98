"""Where a model's chat template shows tools, and a conversation's tools in that place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

from rrr_core.hookspecs import Message

Place = Literal["argument", "system message"]
"""`argument`: the template takes `tools=`, as nearly all do. `system message`: it reads `tools`, as text, from the
system message, as Phi-4-mini's does."""

_NAME = "look_for_this_tool"
_PROBE = [
    {
        "type": "function",
        "function": {
            "name": _NAME,
            "description": "A probe.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "A city."}},
                "required": ["city"],
            },
        },
    }
]


def place_of_tools(tokenizer: Any) -> Place | None:
    """Where the tokenizer's chat template shows tools, found by rendering a probe; None if it shows none."""
    return _place(tokenizer, str(tokenizer.chat_template))


def put_tools(
    place: Place, tools: Sequence[dict[str, Any]], messages: Sequence[dict[str, str]]
) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """The messages, and the extra arguments of `apply_chat_template`, that show the tools in their place.

    In a system message they are a JSON array of the bare functions, as in Phi-4-mini's model card; if the conversation
    has no such message, an empty one is added.
    """
    if place == "argument":
        return list(messages), {"tools": list(tools)}
    text = json.dumps([tool["function"] for tool in tools], ensure_ascii=False)
    system: Message = {"role": "system", "content": ""}
    if messages and messages[0]["role"] == "system":
        system, messages = messages[0], messages[1:]
    return [{**system, "tools": text}, *messages], {}


@lru_cache(maxsize=8)
def _place(tokenizer: Any, template: str) -> Place | None:  # noqa: ARG001 - the cache's key
    places: tuple[Place, ...] = ("argument", "system message")
    return next((place for place in places if _NAME in _probed(tokenizer, place)), None)


def _probed(tokenizer: Any, place: Place) -> str:
    messages, arguments = put_tools(place, _PROBE, [{"role": "user", "content": "1"}])
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **arguments))
    except Exception:  # noqa: BLE001 - a template that refuses tools, in whatever way, has no place for them
        return ""
