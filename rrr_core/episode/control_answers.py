"""A control's answers in an episode, and their JSON."""

from __future__ import annotations

from typing import Any

from rrr_core.records import Record
from rrr_core.verdicts import Verdict

Answered = tuple[str, Verdict]
"""A control's answer, and its verdict. The answer of a course that came to none is empty."""


def control_json(answers: tuple[Answered, ...]) -> list[Any]:
    """A pair for a single round, a list of pairs for several."""
    pairs = [[answer, judged.to_json()] for answer, judged in answers]
    return pairs[0] if len(pairs) == 1 else pairs


def read_control(fields: Record, value: Any) -> tuple[Answered, ...]:
    pairs = [value] if isinstance(value, list) and value and isinstance(value[0], str) else value
    if not isinstance(pairs, list) or not pairs or not all(map(_is_pair, pairs)):
        fields.refuse("controls", "an object of answers and their verdicts")
    return tuple((answer, Verdict.from_json(judged, fields.place)) for answer, judged in pairs)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
