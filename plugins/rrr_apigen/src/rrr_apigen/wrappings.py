"""Wrappings: where a model's text holds its calls, and the JSON values there.

The rules are those of VERDICT.md. JSON is read forward from where a wrapping opens, so a fence, a tag or a bracket
inside a string never ends a block. Ambiguous texts are refused.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from rrr_apigen.strict_json import SPACE, Malformed, may_be_deep, read, skip_space

LONGEST = 20_000
"""Maximum characters after the thought: it bounds the time of a verdict."""

THOUGHT, THOUGHT_END = "<think>", "</think>"
FENCE = "```"
HERMES, HERMES_END = "<tool_call>", "</tool_call>"
PHI, PHI_END = "<|tool_call|>", "<|/tool_call|>"
LLAMA = "<|python_tag|>"
MARKERS = (THOUGHT, THOUGHT_END, FENCE, HERMES, HERMES_END, PHI, PHI_END, LLAMA)

_MARKER = re.compile("|".join(map(re.escape, MARKERS)))
_OPENED_FENCE = re.compile(r"```[A-Za-z0-9_+.-]*")
_CALLS_IN_PROSE = re.compile(rf'\[[{SPACE}]*+[\]{{]|\{{[{SPACE}]*+"name"')


Found: TypeAlias = tuple[list[Any], str]
"""The calls of a text, not yet checked to be calls: JSON values as `strict_json.read` gives them.

With the array as the model wrote it; for several tag blocks, their texts joined into one array.
"""


def find(text: str) -> Found:
    """The one list of calls in a model's text. Raises Malformed if there is none, or if there may be several."""
    rest = _after_thought(text)
    if len(rest) > LONGEST:
        raise Malformed(f"longer than {LONGEST} characters")
    deep = may_be_deep(rest)
    if rest.startswith("["):
        calls, end = read(rest, 0, deep)
        if end != len(rest):
            raise Malformed(f"text after the array, at character {end + 1}")
        return calls, rest
    marker = _MARKER.search(rest)
    if marker is None:
        raise Malformed("no array that is the whole text, no fenced block, no tool-call tag" if rest else "no text")
    opening, place = marker[0], marker.start()
    if opening == HERMES:
        found, end = _hermes(rest, place, deep)
    elif opening == FENCE:
        found, end = _array(rest, _OPENED_FENCE.match(rest, place).end(), FENCE, deep)  # type: ignore[union-attr]
        if rest.startswith("`", end):
            raise Malformed("a fence of more than three backticks")
    elif opening == PHI:
        found, end = _array(rest, marker.end(), PHI_END, deep)
    elif opening == LLAMA:
        found, end = _array(rest, marker.end(), "", deep)
        if end != len(rest):
            raise Malformed(f"text after the array of {LLAMA}")
    else:
        raise Malformed(f"{opening} where no block is open")
    _refuse_calls(rest[:place])
    _refuse_calls(rest[end:])
    return found


def _after_thought(text: str) -> str:
    """A text without the `<think>…</think>` at its start and without white space around it."""
    text = text.strip(SPACE)
    if not text.startswith(THOUGHT):
        return text
    end = text.find(THOUGHT_END)
    if end < 0:
        raise Malformed("a thought that is never closed")
    return text[end + len(THOUGHT_END) :].lstrip(SPACE)


def _hermes(text: str, place: int, deep: bool) -> tuple[Found, int]:
    """The calls of `<tool_call>` blocks separated only by white space, and where the last one ends."""
    values: list[Any] = []
    texts: list[str] = []
    while True:
        value, inner, end = _block(text, place + len(HERMES), HERMES_END, deep)
        values.append(value)
        texts.append(inner)
        place = skip_space(text, end)
        if not text.startswith(HERMES, place):
            break
    if len(values) == 1 and isinstance(values[0], list):
        return (values[0], texts[0]), end
    if not all(isinstance(value, dict) for value in values):
        raise Malformed(f"a {HERMES} block that is not one call, or an array that is not alone")
    return (values, f"[{', '.join(texts)}]"), end


def _array(text: str, start: int, closing: str, deep: bool) -> tuple[Found, int]:
    """The array of the one block that starts here, and where the block ends."""
    value, inner, end = _block(text, start, closing, deep)
    if not isinstance(value, list):
        raise Malformed("a block that holds no array")
    return (value, inner), end


def _block(text: str, start: int, closing: str, deep: bool) -> tuple[Any, str, int]:
    """A block's value, the value's text, and the place after the closing."""
    value, end = read(text, start, deep)
    close = skip_space(text, end)
    if not text.startswith(closing, close):
        raise Malformed(f"no {closing} after the JSON, at character {close + 1}")
    return value, text[start:end].strip(SPACE), close + len(closing)


def _refuse_calls(prose: str) -> None:
    """Raise Malformed if text beside the judged block could also be meant as calls."""
    marker = _MARKER.search(prose)
    if marker is not None:
        raise Malformed(f"{marker[0]} beside the block: which one counts?")
    if _CALLS_IN_PROSE.search(prose) is not None:
        raise Malformed("calls beside the block: which ones count?")
