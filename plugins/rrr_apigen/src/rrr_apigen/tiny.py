"""The embedded model's wording: terse, since its vocabulary holds little more than this."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

FAMILY = "rrr-tiny"
"""The family of models that `rrr warmup` trains from scratch."""

REFLECTION = "Wrong. Reflect on what went wrong."

TAGS = (
    '[{"name": "',
    '", "arguments": {"',
    '"}}]',
    "}}]",
    "]}}]",
    '"]}}]',
    '"}}, {"name": "',
    '}}, {"name": "',
    ']}}, {"name": "',
    '"]}}, {"name": "',
    '": "',
    '": ',
    '": [',
    '": ["',
    '", "',
    ', "',
    '], "',
    '"], "',
)
"""The punctuation between the words of a call list: one token each for the embedded model."""


def prompt(row: Mapping[str, Any]) -> str:
    """The functions on offer, one per line with `?` after optional parameters, and the query.

    >>> tool = {"name": "get_wind", "parameters": {"city": {"type": "str"}, "days": {"type": "int, optional"}}}
    >>> print(prompt({"query": "Get the wind in Rome.", "tools": [tool]}))
    get_wind(city,days?)
    Query: Get the wind in Rome.
    """
    return "\n".join([*map(_signature, row["tools"]), f"Query: {row['query']}"])


def retry_prompt(row: Mapping[str, Any]) -> str:
    """The query again; the functions are already in the conversation."""
    return f"Again: {row['query']}"


def answer(calls: Sequence[Mapping[str, Any]]) -> str:
    """A call list as the embedded model writes it."""
    return json.dumps(list(calls))


def _signature(tool: Mapping[str, Any]) -> str:
    parameters = (
        name + ("?" if "optional" in definition["type"] else "") for name, definition in tool["parameters"].items()
    )
    return f"{tool['name']}({','.join(parameters)})"
