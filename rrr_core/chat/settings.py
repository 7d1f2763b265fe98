"""What a user may set of a chat template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """How a model's chat template is used in a run."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the template is given besides the messages, such as `enable_thinking`."""
    name: str | None = None
    """Which of a tokenizer's named templates; None chooses as transformers does."""
    thought_marks: str | None = None
    """`OPEN CLOSE`, `none`, or None to find them."""
    keep_thoughts: bool = False
    """Whether earlier thoughts stay in the conversation; by default the template decides."""
    day: date | None = None
    """The date that a template writes; None for today's."""


def template_arguments(given: Mapping[str, str]) -> dict[str, Any]:
    """The values of `--template KEY=JSON`; what is no JSON is a text.

    >>> template_arguments({"enable_thinking": "false", "reasoning_effort": "low"})
    {'enable_thinking': False, 'reasoning_effort': 'low'}
    """
    return {key: json_or_text(text) for key, text in given.items()}


def json_or_text(text: str) -> Any:
    """The JSON value of a text; the text itself if it is none, as `NaN` is none."""
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
