"""Statistics: proportions, paired differences and means over seeds with their intervals, quantiles and histograms.

Pure functions of counts that do not know what was counted. docs/evaluation.md explains in plain words what each is for.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share from 0 to 1 with its interval."""

    value: float
    low: float
    high: float
    passed: int
    total: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first of two proportions over the same rows, from -1 to 1, with its interval and exact p-value."""

    value: float
    low: float
    high: float
    p: float
    """Exact two-sided McNemar p-value of no difference."""
    only_first: int
    """Rows right only in the first."""
    only_second: int
    total: int


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over runs, such as seeds, with its interval. Interval and `deviation` are None for a single run."""

    value: float
    low: float | None
    high: float | None
    deviation: float | None
    """Standard deviation between the runs."""
    count: int


def wilson(passed: int, total: int, confidence: float = CONFIDENCE) -> Proportion:
    """The proportion `passed / total` with the Wilson score interval (E. B. Wilson 1927).

    Method 3 of R. G. Newcombe, Statistics in Medicine 17:857-872 (1998): close to nominal coverage even at
    proportions of 0 and 1 and in small samples. Raises ValueError if `total` is 0 or `passed` is outside 0 to `total`.
    """
    if not 0 <= passed <= total or total == 0:
        raise ValueError(f"no proportion of {passed} in {total}")
    z = _normal_quantile(confidence)
    share, z_squared = passed / total, z * z
    middle = passed + z_squared / 2
    half = z * math.sqrt(passed * (1 - share) + z_squared / 4)
    # For 0 and `total` passed, the limit is exactly 0 or 1; rounding would miss it slightly.
    low = 0.0 if passed == 0 else (middle - half) / (total + z_squared)
    high = 1.0 if passed == total else (middle + half) / (total + z_squared)
    return Proportion(share, low, high, passed, total)


def paired_difference(
    both: int, only_first: int, only_second: int, neither: int, confidence: float = CONFIDENCE
) -> Difference:
    """Second minus first of two proportions over the same rows, from the counts of rows right in both, one or neither.

    The interval is Newcombe's hybrid score interval, method 10 of R. G. Newcombe, Statistics in Medicine 17:2635-2650
    (1998), which combines the two Wilson intervals using their correlation. The p-value is McNemar's exact one. Raises
    ValueError if there are no rows.
    """
    total = both + only_first + only_second + neither
    first = wilson(both + only_first, total, confidence)
    second = wilson(both + only_second, total, confidence)
    correlation = _corrected_correlation(both, only_first, only_second, neither)

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))

    value = (only_second - only_first) / total
    return Difference(
        value=value,
        low=max(-1.0, value - reach(second.value - second.low, first.high - first.value)),
        high=min(1.0, value + reach(second.high - second.value, first.value - first.low)),
        p=exact_mcnemar(only_first, only_second),
        only_first=only_first,
        only_second=only_second,
        total=total,
    )


def exact_mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value of McNemar's test: did a fair coin split the rows that differ?

    Twice the smaller binomial tail, at most 1; 1 if no row differs. Computed in integers, so exact at any size.
    """
    differing = only_first + only_second
    term = tail = 1
    for k in range(1, min(only_first, only_second) + 1):
        term = term * (differing - k + 1) // k
        tail += term
    return min(1.0, tail / (1 << differing - 1)) if differing else 1.0


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie, interpolated linearly; the median at 0.5.

    Raises ValueError on no values.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"no {share} quantile of {len(values)} values")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def histogram(values: Sequence[float], upper_edges: Sequence[float]) -> list[tuple[float, int]]:
    """The values counted in bins with ascending `upper_edges`: (edge, values up to that edge and above the previous).

    Raises ValueError if a value lies above the last edge, since the counts would not add up.
    """
    counts = [0] * len(upper_edges)
    for value in values:
        bin_index = bisect_left(upper_edges, value)
        if bin_index == len(counts):
            raise ValueError(f"{value} lies above the last edge of the histogram")
        counts[bin_index] += 1
    return list(zip(upper_edges, counts, strict=True))


def pooled_mean(values: Sequence[float], confidence: float = CONFIDENCE) -> Mean:
    """The mean of one figure over several runs with different seeds, with Student's t interval.

    The unit is the run, however many rows it has: rows show how precisely *one* trained model is measured, runs how
    much training itself varies. Raises ValueError on no values.
    """
    if not values:
        raise ValueError("no mean of no runs")
    value, count = fmean(values), len(values)
    if count == 1:
        return Mean(value, None, None, None, 1)
    deviation = stdev(values)
    half = _student_quantile(confidence, count - 1) * deviation / math.sqrt(count)
    return Mean(value, value - half, value + half, deviation, count)


def _normal_quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _corrected_correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Newcombe's phi: the correlation of the two outcomes, corrected for continuity if positive."""
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if margins == 0:
        return 0.0
    numerator: float = both * neither - only_first * only_second
    if numerator > 0:
        numerator = max(0.0, numerator - (both + only_first + only_second + neither) / 2)
    return numerator / math.sqrt(margins)


def _student_quantile(confidence: float, degrees: int) -> float:
    """The t with P(|T| <= t) = `confidence` under Student's distribution, by bisection."""
    low, high = 0.0, 1.0
    while _student_within(high, degrees) < confidence:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_within(middle, degrees) < confidence else (low, middle)
    return (low + high) / 2


def _student_within(t: float, degrees: int) -> float:
    """P(|T| <= t) for an integer number of degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(degrees))
    cosine_squared = math.cos(angle) ** 2
    is_odd = degrees % 2
    term, total = (math.cos(angle), math.cos(angle)) if is_odd else (1.0, 1.0)
    if degrees == 1:
        total = 0.0
    for k in range(3 if is_odd else 2, degrees - 1, 2):
        term *= cosine_squared * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + math.sin(angle) * total) if is_odd else math.sin(angle) * total
