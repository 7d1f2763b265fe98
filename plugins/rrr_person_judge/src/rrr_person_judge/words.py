"""Texts that the terminal and the page share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from rrr_core import Message, Model, Row
from rrr_core.overlays import prompt_of
from rrr_person_judge.sitting import Sitting


def question_of(task: str, row: Row) -> Sequence[Message]:
    """The prompt of a row, worded as for a model of no particular family. Raises an RrrError if there is none."""
    return prompt_of(task, row, Model("a person"))


def row_text(row: Row) -> str:
    """A row as readable text."""
    return json.dumps(row, indent=2, ensure_ascii=False)


def summary(sitting: Sitting) -> str:
    """How a sitting's verdicts stand: `All 16 answers are judged: 9 passed, 6 failed, 1 withheld.`"""
    how_many = len(sitting.items)
    outcomes = Counter(verdict.outcome for verdict in map(sitting.verdict, range(how_many)) if verdict)
    judged = "The one answer is" if how_many == 1 else f"All {how_many:,} answers are"
    counts = f"{outcomes['passed']:,} passed, {outcomes['failed']:,} failed, {outcomes['abstained']:,} withheld"
    return f"{judged} judged: {counts}."
