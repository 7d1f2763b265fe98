"""Estimates from a sample, with intervals: how much rows differ, and what a reflection is worth.

Pure functions of lists of passes, in which None is a withheld verdict. Their random draws are fixed. Evaluation is
imported by the functions that use it, since `rrr check` imports this package for every task.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rrr_core.evaluation.statistics import Mean, Proportion

Passes = Sequence[bool | None]
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Spread:
    """How much the rows' pass rates differ beyond chance."""

    value: float
    """Share of a verdict's variance that is the row's: the intraclass correlation."""
    low: float
    high: float
    p: float
    """Of all rows being equally hard, by permutation of the verdicts."""


def judged(passes: Passes) -> list[bool]:
    """The passes without the withheld verdicts."""
    return [each for each in passes if each is not None]


def share(passed: int, total: int) -> Proportion:
    """The proportion with its interval. Raises ValueError if `total` is 0."""
    from rrr_core.evaluation.statistics import wilson

    return wilson(passed, total)


def spread(rows: Sequence[Sequence[bool]]) -> Spread:
    """The intraclass correlation of verdicts within rows (analysis of variance), with a bootstrap interval over rows.

    Its p-value is the share of random reassignments of the verdicts to rows that differ as much. Raises ValueError
    for fewer than two rows, rows of one verdict, or verdicts that are all the same.
    """
    flat = [each for row in rows for each in row]
    from rrr_core.evaluation.statistics import CONFIDENCE, quantile

    if len(rows) < 2 or len(set(flat)) < 2 or len(flat) == len(rows):
        raise ValueError("there is nothing to compare")
    chance = random.Random("rrr check")
    found = intraclass(rows)
    at_least = 0
    for _ in range(DRAWS):
        chance.shuffle(flat)
        verdicts = iter(flat)
        at_least += intraclass([[next(verdicts) for _ in row] for row in rows]) >= found - 1e-12
    drawn = [intraclass(chance.choices(rows, k=len(rows))) for _ in range(DRAWS)]
    tail = (1 - CONFIDENCE) / 2
    return Spread(found, quantile(drawn, tail), quantile(drawn, 1 - tail), (1 + at_least) / (1 + DRAWS))


def intraclass(rows: Sequence[Sequence[bool]]) -> float:
    """The intraclass correlation, one-way: 1 if a row alone decides, about 0 if it decides nothing.

    >>> intraclass([[True, True], [False, False]]), intraclass([[True, False], [False, True]])
    (1.0, -1.0)
    """
    total, count = sum(map(len, rows)), len(rows)
    mean = sum(map(sum, rows)) / total
    between = sum(len(row) * (fmean(row) - mean) ** 2 for row in rows) / (count - 1)
    within = sum(len(row) * fmean(row) * (1 - fmean(row)) for row in rows) / (total - count)
    size = (total - sum(len(row) ** 2 for row in rows) / total) / (count - 1)
    whole = between + (size - 1) * within
    return (between - within) / whole if whole else 0.0


def gain(pairs: Sequence[tuple[Passes, Passes]]) -> Mean | None:
    """Mean over failures of the second's share of passes minus the first's; None if no failure has both."""
    differences = [
        fmean(second) - fmean(first)
        for first, second in ((judged(first), judged(second)) for first, second in pairs)
        if first and second
    ]
    return _mean(differences)


def picked(groups: Sequence[tuple[Passes, Passes]]) -> Mean | None:
    """How often a retry passes after a reflection whose other retry passed; None if no retry passed.

    The groups are those of `worth`: one retry picks, the other judges, both ways round. The mean is over all pairs of a
    group and a way; its interval is over groups, whose two ways depend on each other.
    """
    return _over_ways([[fmean(worked) for worked, _ in _ways(first, again)] for first, again in groups])


def mean_share(rows: Sequence[Passes]) -> Mean | None:
    """The mean over rows of their share of passes; None if no row was judged."""
    return _mean([fmean(each) for each in map(judged, rows) if each])


def worth(groups: Sequence[tuple[Passes, Passes]]) -> Mean | None:
    """How much more often a reflection leads to a pass that did so before than any reflection on the same failure.

    Each group has two retries after each reflection. One picks the reflections, the other judges them, both ways
    round: if retries do not depend on their reflections, the expected difference is 0, however hard the rows are. It is
    a mean over all pairs of a group and a way, as in `picked`. None if no retry passed.
    """
    return _over_ways(
        [[fmean(worked) - fmean(every) for worked, every in _ways(first, again)] for first, again in groups]
    )


def worth_over_none(groups: Sequence[tuple[Passes, Passes, Passes]]) -> Mean | None:
    """How much more often a reflection leads to a pass that did so before than a retry without one on the same failure.

    A group has the two retries after each reflection, as in `worth`, and retries without one. None if no group has a
    retry that passed and one without a reflection.
    """
    return _over_ways(
        [
            [fmean(worked) - fmean(without) for worked, _ in _ways(first, again)]
            for first, again, plain in groups
            if (without := judged(plain))
        ]
    )


def _ways(first: Passes, again: Passes) -> Iterator[tuple[list[bool], list[bool]]]:
    """What the judging retries say: of reflections that were picked, and of all. Both ways round, if any is picked."""
    both = [(one, two) for one, two in zip(first, again, strict=True) if one is not None and two is not None]
    for pairs in (both, [(two, one) for one, two in both]):
        worked = [judges for picks, judges in pairs if picks]
        if worked:
            yield worked, [judges for _, judges in pairs]


def _over_ways(groups: Sequence[Sequence[float]]) -> Mean | None:
    """The mean over all ways of all groups. Its interval is over groups, whose ways depend on each other.

    A mean over groups would give the way of a group that has one as much weight as two: there is no second where
    all judging retries failed, so it would be too low. None if there is none.
    """
    found = [ways for ways in groups if ways]
    if not found:
        return None
    total = sum(map(len, found))
    mean = sum(map(sum, found)) / total
    # A ratio of sums over groups, made linear: values whose mean and spread are the ratio's.
    return _mean([mean + (sum(ways) - mean * len(ways)) * len(found) / total for ways in found])


def _mean(differences: Sequence[float]) -> Mean | None:
    from rrr_core.evaluation.statistics import pooled_mean

    return pooled_mean(differences) if differences else None
