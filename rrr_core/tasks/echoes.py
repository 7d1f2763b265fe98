"""Whether a text is too long only because it repeats what the model wrote: then it is the model that made it so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rrr_core.hookspecs import Call

WIDTH = 32
"""Characters of an action that must stand in a text together to count as repeated."""
TIMES = 4
"""How often an action may count. A plugin that repeats it more often multiplies it, and answers for that."""


def is_echo(text: str, longest: int, action: str, calls: Sequence[Call] = ()) -> bool:
    """Whether a text of more than `longest` characters would fit without what it repeats of an action.

    Parts of the action count, such as the move in it, plain or as JSON writes them.

    >>> is_echo("You said: " + "so " * 40, 100, "so " * 40), is_echo("You see: " + "a wall " * 40, 100, "look")
    (True, False)
    """
    words = [action, *(word for call in calls for word in (call.name, *_texts(call.arguments)))]
    written = [{word, _in_json(word, False), _in_json(word, True)} for word in words]
    most = TIMES * sum(max(map(len, forms)) for forms in written)
    if len(text) - most > longest:
        return False
    parts = {
        form[start : start + WIDTH] for forms in written for form in forms for start in range(len(form) - WIDTH + 1)
    }
    return len(text) - min(most, _repeated(text, parts)) <= longest


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *_texts(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _in_json(word: str, is_ascii: bool) -> str:
    return json.dumps(word, ensure_ascii=is_ascii)[1:-1]


def _repeated(text: str, parts: set[str]) -> int:
    """The characters of a text that stand in one of the parts."""
    found = end = 0
    for start in range(len(text) - WIDTH + 1):
        if text[start : start + WIDTH] in parts:
            found += start + WIDTH - max(start, end)
            end = start + WIDTH
    return found
