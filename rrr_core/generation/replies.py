"""Reads a chat completion, whatever a server sends: what the model wrote, or why there is no answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rrr_core.chat.marks import Marks, Parts, split_text
from rrr_core.episode import Generation
from rrr_core.generation.connection import Unreadable
from rrr_core.generation.exchange import Reply
from rrr_core.generation.missing import FAILED, FILTERED, NOT_READ, REFUSAL, TOO_LONG, is_filtered
from rrr_core.generation.tool_calls import calls_in

BYTES_PER_TOKEN, BYTES_OF_THE_REST = 1024, 1 << 20
"""The longest token of a usual vocabulary has 128 characters, each at most six bytes of JSON; and what surrounds the
text may hold one entry a token."""


def most_bytes(max_tokens: int) -> int:
    """The longest reply that so many tokens can be, in bytes, besides what it repeats of the request."""
    return BYTES_OF_THE_REST + BYTES_PER_TOKEN * max_tokens


def read_json(reply: Reply) -> dict[str, Any]:
    """A reply's JSON object. Raises Unreadable."""
    if not reply.is_whole:
        raise Unreadable(TOO_LONG, reply.body)
    try:
        content = json.loads(reply.body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Unreadable(NOT_READ, reply.body) from None
    if not isinstance(content, dict):
        raise Unreadable(NOT_READ, reply.body)
    return content


def read_completion(reply: Reply, marks: Marks | None = None, has_tools: bool = False) -> Generation:
    """What the model wrote, or the reason why it has no answer.

    `marks` part the thought from the answer where a server leaves both in one text. Calls are read if the request had
    tools. Raises Unreadable if there is no
    completion, so that the request is worth another try.
    """
    if not reply.is_whole:
        return Generation("", missing=TOO_LONG)  # the same request would get the same
    body = read_json(reply)
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    error = body.get("error") or (choice.get("error") if isinstance(choice, dict) else None)
    if error:
        if is_filtered(reply.body.decode("utf-8", "replace")):
            return Generation("", missing=FILTERED)
        raise Unreadable(FAILED, reply.body)
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise Unreadable(NOT_READ, reply.body)
    if has_tools and message.get("tool_calls"):
        message = {"content": None, **message}
    if "content" not in message:
        raise Unreadable(NOT_READ, reply.body)
    finish = choice.get("finish_reason")
    if finish in ("error", "abort"):
        raise Unreadable(FAILED, reply.body)
    if finish == "content_filter":
        return Generation("", missing=FILTERED)
    made = _written(message, finish == "length", marks, _counted(body.get("usage")))
    if made is not None and has_tools:
        calls, malformed = calls_in(message)
        text = "\n".join(filter(None, [made.text, malformed]))
        made = replace(made, text=text, calls=calls, is_thinking=made.is_thinking and not (calls or malformed))
    if made is None or not (_is_text(made.text) and _is_text(made.thought)):
        raise Unreadable(NOT_READ, reply.body)
    if not made.text and isinstance(message.get("refusal"), str) and message["refusal"]:
        return Generation("", missing=REFUSAL, counted=made.counted)
    return made


def _written(
    message: Mapping[str, Any], is_cut_off: bool, marks: Marks | None, counted: int | None
) -> Generation | None:
    """The text and thought of a message; None if its content is no text."""
    texts = _texts(message["content"])
    if texts is None:
        return None
    thought, text = texts
    fields = (message.get("reasoning_content"), message.get("reasoning"))
    thought = next((field for field in fields if isinstance(field, str) and field), thought)
    parts = split_text(text, marks)
    if thought:  # with the white space around the marks that the server took away
        parts = Parts(thought.strip(), text.lstrip(), is_thinking=is_cut_off and not text)
    return Generation(
        parts.answer,
        finish="length" if is_cut_off else "stop",
        thought=parts.thought,
        is_thinking=parts.is_thinking,
        counted=counted,
    )


def _texts(content: Any) -> tuple[str, str] | None:
    """The thought and the text of a message's content: null, a text, or a list of parts. None if it is none of them."""
    if content is None or isinstance(content, str):
        return "", content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return None
    thought = "".join(_part(part, ("thinking", "reasoning")) for part in content)
    return thought, "".join(_part(part, ("text", "output_text")) for part in content)


def _part(part: Mapping[str, Any], kinds: Sequence[str]) -> str:
    kind = part.get("type")
    if kind not in kinds:
        return ""
    inner = part.get("text") if "text" in part else part.get(str(kind))
    if isinstance(inner, list):
        texts = [each.get("text") for each in inner if isinstance(each, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return inner if isinstance(inner, str) else ""


def _counted(usage: Any) -> int | None:
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 1 << 31 else None


def _is_text(text: str) -> bool:
    """Whether it is Unicode, which half of a surrogate pair is not."""
    return text.isascii() or not any("\ud800" <= mark <= "\udfff" for mark in text)
