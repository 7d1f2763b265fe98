"""Tools, calls and their results in OpenAI's form: as they are sent to a server, and as they come in its replies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rrr_core.chat.call_values import Malformed, made_call, read_json
from rrr_core.chat.calls import tool_calls
from rrr_core.chat.tools import tools_of
from rrr_core.episode.calls import CALLS, RESULT_ROLE, calls_from_text
from rrr_core.hookspecs import Call, Message


def sent_tools(conversation: Sequence[Message]) -> tuple[dict[str, Any], Sequence[Message]]:
    """The fields of a request for the tools that a conversation begins with, if any, and its other messages."""
    tools, spoken = tools_of(conversation)
    return ({"tools": tools} if tools else {}), spoken


def sent_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages with their calls in OpenAI's form, each of which is answered: the first by what all of them led to.

    A server refuses a conversation in which a call has no answer, such as one that goes on with the user's request to
    reflect.
    """
    sent: list[dict[str, Any]] = []
    waiting: list[str] = []
    for message in messages:
        if message["role"] == RESULT_ROLE and waiting:
            sent.append({**message, "tool_call_id": waiting.pop(0)})
            continue
        sent += [_unanswered(name) for name in waiting]
        fields = {key: value for key, value in message.items() if key != CALLS}
        called = tool_calls(calls_from_text(message[CALLS]), as_texts=True) if CALLS in message else []
        sent.append({**fields, "content": fields["content"] or None, "tool_calls": called} if called else fields)
        waiting = [each["id"] for each in called]
    return [*sent, *map(_unanswered, waiting)]


def calls_in(message: Mapping[str, Any]) -> tuple[tuple[Call, ...], str]:
    """The calls in a reply's message; if one is malformed, none, and all of them as JSON text."""
    given = message.get("tool_calls")
    if not given:
        return (), ""
    try:
        return tuple(map(_call, given)), ""
    except (Malformed, TypeError):
        return (), json.dumps(given)


def _call(given: Any) -> Call:
    function = given.get("function") if isinstance(given, dict) else None
    name, arguments = (function.get(key) for key in ("name", "arguments")) if isinstance(function, dict) else (None, "")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    found, end = read_json(text.strip() or "{}", 0)
    if text.strip()[end:].strip():
        raise Malformed
    return made_call(name, found)


def _unanswered(name: str) -> dict[str, Any]:
    return {"role": RESULT_ROLE, "content": "", "tool_call_id": name}
