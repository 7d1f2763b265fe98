"""Reflections before and after training on the same rows: which pairs the page shows first, and how many of each way.

A pair is a row that both models failed at the first try. Which pairs are shown is decided by a hash of the row, never
by what was written, so that none is picked for its looks; those with the same wrong answer come first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rrr_core.episode import Episode
from rrr_core.report.selection import rank

WAYS = ("only after", "only before", "both", "neither")
"""Which model's retry was right."""
MOST_PAIRS = 12
"""Most pairs of each way on the page."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of one mode."""

    same_answer: int
    """Pairs in which both models gave the same wrong answer."""
    counts: dict[str, int]
    """Way → all pairs of the run."""
    rows: dict[str, list[int]]
    """Way → the rows of the pairs on the page."""


class Retried:
    """The retries of one model in one mode: for every failed row what its answer was and whether its retry passed."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[int, bool]] = {}

    def add(self, episode: Episode) -> None:
        """Note an episode whose first try failed and whose retry was judged."""
        second = episode.second_verdict
        if episode.verdict.is_failed and second is not None and not second.is_abstained:
            self._of[episode.row_index] = hash(episode.attempt.answer), second.is_passed

    def paired(self, after: Retried, kept: Iterable[int]) -> Pairs | None:
        """The pairs with another model's, of which `kept` rows can be shown; None if there are none."""
        counts: Counter[str] = Counter()
        found: dict[str, list[tuple[bool, int, int]]] = {way: [] for way in WAYS}
        showable = set(kept)
        same_answers = 0
        for row, (answer, passed) in self._of.items():
            if row not in after._of:
                continue
            other_answer, other_passed = after._of[row]
            way = {(False, True): "only after", (True, False): "only before", (True, True): "both"}.get(
                (passed, other_passed), "neither"
            )
            counts[way] += 1
            same_answers += answer == other_answer
            if row in showable:
                found[way].append((answer != other_answer, rank(row), row))
        if not counts:
            return None
        rows = {way: [row for *_, row in sorted(some)[:MOST_PAIRS]] for way, some in found.items()}
        return Pairs(same_answers, {way: counts[way] for way in WAYS}, rows)


def rows_of(pairs: Pairs | None) -> list[int]:
    """The rows of the pairs, in the order in which they are most wanted."""
    if pairs is None:
        return []
    longest = max(map(len, pairs.rows.values()))
    return [rows[place] for place in range(longest) for rows in pairs.rows.values() if place < len(rows)]
