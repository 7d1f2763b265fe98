"""What a scorer does not check: answers that it cannot read, and wrong ones that it would give the full score.

Each guard rejects only text that no right answer has, so that the answer is to blame and not the scorer. README.md
tells why each is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from rrr_core.hookspecs import Row

LONGEST = 20_000
"""Characters; the longest right answer seen is a tenth of it."""
DEEPEST = 100
"""Brackets open at once."""


def malformed(dataset: str, row: Row, answer: str) -> str:
    """Why an answer cannot be a right one, whatever its scorer would say; nothing where it may be one."""
    if len(answer) > LONGEST:
        return f"{len(answer):,} characters"
    if depth(answer) > DEEPEST:
        return f"more than {DEEPEST} brackets open at once"
    guard = GUARDS.get(dataset)
    return guard(row, answer) if guard else ""


def depth(answer: str) -> int:
    """The most brackets of any kind that are open at once."""
    most = now = 0
    for letter in answer:
        if letter in "([{":
            now += 1
            most = max(most, now)
        elif letter in ")]}":
            now = max(0, now - 1)
    return most


def _factors(row: Row, answer: str) -> str:
    return "" if re.fullmatch(r"\s*\d{1,30}(\s*×\s*\d{1,30})*\s*", answer, re.ASCII) else "not numbers joined by ×"


def _truth(row: Row, answer: str) -> str:
    return "" if answer in ("True", "False") else "neither True nor False"


def _probability(row: Row, answer: str) -> str:
    return ""


def _json(answer: str) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return None


def _board(row: Row, answer: str) -> str:
    board = _json(answer)
    if isinstance(board, list) and all(isinstance(line, list) for line in board):
        return ""
    return "not a JSON list of lists"


GUARDS: dict[str, Callable[[Row, str], str]] = {
    "prime_factorization": _factors,
    "game_of_life": _board,
}
