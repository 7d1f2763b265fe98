"""How a hostile case is written: a row, the text between the tags, and why it is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rrr_core import Example

Row = dict[str, Any]


def row(target: int, *nums: int) -> Row:
    """A Countdown row."""
    return {"nums": list(nums), "target": target}


SUM = row(60, 44, 19, 35)
"""The row of most cases, reached by 44+35-19."""


def wrong(category: str, cases: Iterable[tuple[str, str] | tuple[str, str, Row]]) -> tuple[Example, ...]:
    """Failing examples of one class from (equation, reason) pairs, each with a row of its own or for `SUM`.

    The equation is put between answer tags.
    """
    return tuple(
        Example(own[0] if own else SUM, f"<answer>{equation}</answer>", "failed", category, reason, hostile=True)
        for equation, reason, *own in cases
    )


def wrong_texts(cases: Iterable[tuple[str, str, str]]) -> tuple[Example, ...]:
    """Failing examples for `SUM` from (whole text, category, reason) triples, for attacks on the tags."""
    return tuple(Example(SUM, text, "failed", category, reason, hostile=True) for text, category, reason in cases)
