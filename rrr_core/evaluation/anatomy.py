"""The anatomy of reflections: what kinds a model writes, how long they are, how often the retry after each is right.

A pure function of episodes; the first round counts, as in every figure that is not by round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rrr_core.episode import Episode
from rrr_core.evaluation.reflection_kinds import KINDS, kind_of
from rrr_core.evaluation.statistics import Proportion, wilson


@dataclass(frozen=True, slots=True)
class KindFigures:
    """One kind of reflection in one evaluation."""

    share: Proportion
    """Of all reflections."""
    right: Proportion | None
    """Of its retries that were judged, those that passed; None if none was judged."""
    tokens: float | None
    """Mean length, end token included; None if the engine counts none."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The reflections of one model in one mode."""

    written: int
    kinds: dict[str, KindFigures]
    """Key of a kind that occurs → its figures, in the order of `KINDS`."""
    leaks: Proportion
    """Reflections that hand over a solution instead of a diagnosis."""


class AnatomyCounter:
    """Counts the reflections of a stream of episodes."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._judged: Counter[tuple[str, bool]] = Counter()
        self._lengths: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()

    def add(self, episode: Episode) -> None:
        """Count an episode's first reflection, if it has one that was written."""
        if not episode.verdict.is_failed or not episode.rounds or not (first := episode.rounds[0]).reflection.text:
            return
        kind = kind_of(episode, first)
        self._counts[kind] += 1
        if (verdict := first.verdict) is not None and not verdict.is_abstained:
            self._judged[kind, verdict.is_passed] += 1
        if first.reflection.length is not None:
            self._lengths[kind] += first.reflection.length
            self._counted[kind] += 1

    def figures(self) -> Anatomy | None:
        """What was counted; None if there was no reflection."""
        total = self._counts.total()
        if not total:
            return None
        found = [kind for kind in KINDS if self._counts[kind.key]]
        return Anatomy(
            written=total,
            kinds={each.key: self._figures_of(each.key, total) for each in found},
            leaks=wilson(sum(self._counts[each.key] for each in found if each.is_leak), total),
        )

    def _figures_of(self, kind: str, total: int) -> KindFigures:
        passed, judged = self._judged[kind, True], self._judged[kind, True] + self._judged[kind, False]
        counted = self._counted[kind]
        return KindFigures(
            share=wilson(self._counts[kind], total),
            right=wilson(passed, judged) if judged else None,
            tokens=self._lengths[kind] / counted if counted else None,
        )


def anatomy_of(episodes: Iterable[Episode]) -> Anatomy | None:
    """The anatomy of the reflections in some episodes; None if there are none."""
    counter = AnatomyCounter()
    for episode in episodes:
        counter.add(episode)
    return counter.figures()
