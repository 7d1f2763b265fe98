"""What the terminal and the page say alike."""

from __future__ import annotations

import json

from rrr_core.hookspecs import Row
from rrr_core.overlays.person.sitting import Sitting


def row_text(row: Row) -> str:
    """A row as a person reads it."""
    return json.dumps(row, indent=2, ensure_ascii=False)


def counts(sitting: Sitting) -> dict[str, int]:
    """Outcome → how many of a sitting's items have it."""
    verdicts = [sitting.verdict(index) for index in range(len(sitting.items))]
    outcomes = [verdict.outcome for verdict in verdicts if verdict is not None]
    return {outcome: outcomes.count(outcome) for outcome in ("passed", "failed", "abstained")}


def summary(sitting: Sitting) -> str:
    """How a sitting's verdicts stand: `All 16 answers are judged: 9 passed, 6 failed, 1 not told.`"""
    found = counts(sitting)
    how_many = len(sitting.items)
    judged = "The one answer is" if how_many == 1 else f"All {how_many:,} answers are"
    return f"{judged} judged: {found['passed']:,} passed, {found['failed']:,} failed, {found['abstained']:,} not told."
