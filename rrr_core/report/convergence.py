"""Samples to convergence: how many reflections training drew until its retries' success had reached its last level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from rrr_core.report.curves import Curves

SERIES = "retry_success_rate"
REACHED = 0.9
"""Share of the whole rise that counts as having reached the last level."""
FEWEST = 8
"""Logged steps below which nothing is said."""


@dataclass(frozen=True, slots=True)
class Convergence:
    """When retry success had reached its last level."""

    step: float
    """The first step at which the moving mean has made 90% of the rise."""
    steps: float
    """The last logged step."""
    samples: int | None
    """Reflections drawn up to that step; None if the size of a step is unknown."""
    all_samples: int | None
    start: float
    """Mean retry success of the first tenth of the steps, at least of two."""
    level: float
    """Mean retry success of the last fifth."""
    is_level: bool
    """Whether the last fifth is no higher than the fifth before it, but for a tenth of the rise or for chance."""
    smoothed: list[float]
    """The moving mean, one value per step that logged the success."""


def convergence_of(curves: Curves | None, per_step: int | None) -> Convergence | None:
    """When training converged; None without enough steps, or if its retries did not get better."""
    if curves is None:
        return None
    known = [
        (step, value)
        for step, value in zip(curves.steps, curves.series.get(SERIES, []), strict=False)
        if value is not None
    ]
    if len(known) < FEWEST:
        return None
    values = [value for _, value in known]
    smoothed = moving_mean(values, max(3, len(values) // 10))
    fifth = max(2, len(values) // 5)
    start, level, before = (
        fmean(some) for some in (values[: max(2, len(values) // 10)], values[-fifth:], values[-2 * fifth : -fifth])
    )
    if level <= start:
        return None
    reached = start + REACHED * (level - start)
    first = next((place for place, value in enumerate(smoothed) if value >= reached), len(smoothed) - 1)
    noise = stdev(value - mean for value, mean in zip(values, smoothed, strict=True))
    step, last = known[first][0], curves.steps[-1]
    return Convergence(
        step=step,
        steps=last,
        samples=None if per_step is None else round(step * per_step),
        all_samples=None if per_step is None else round(last * per_step),
        start=start,
        level=level,
        is_level=level - before <= max((1 - REACHED) * (level - start), 2 * noise * sqrt(2 / fifth)),
        smoothed=smoothed,
    )


def moving_mean(values: Sequence[float], width: int) -> list[float]:
    """The mean of each value and its neighbours, `width` in all; fewer at the ends.

    >>> moving_mean([0.0, 3.0, 6.0], 3)
    [1.5, 3.0, 4.5]
    """
    half = width // 2
    return [fmean(values[max(0, place - half) : place + half + 1]) for place in range(len(values))]
