"""What a sample says of a model on a task, in figures with intervals. Pure functions of a sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rrr_core.probing.estimates import gain, judged, mean_share, picked, share, worth, worth_over_none
from rrr_core.probing.sampling import Sample

if TYPE_CHECKING:
    from rrr_core.evaluation.statistics import Mean, Proportion

SURE = 0.95
"""How surely a step must have `ENOUGH` groups with a signal."""
ENOUGH = 4
"""Groups with a signal that a step should have."""
MOST_GROUPS = 4096
"""A step of more groups is not suggested."""
TWO_SIDED = 0.05


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share, a difference of shares or a count, with its 95% interval."""

    value: float
    low: float
    high: float
    count: int
    """What it was measured on: rows, failures, groups or texts."""

    def scaled(self, factor: float) -> Estimate:
        return Estimate(self.value * factor, self.low * factor, self.high * factor, self.count)


@dataclass(frozen=True, slots=True)
class Findings:
    """The figures of a probe. A figure is None where nothing was there to measure."""

    rows: int
    tries: int
    failures: int
    group_size: int
    batch_groups: int
    first_try: Estimate
    reached: Estimate
    """pass@k: rows of which one try passes."""
    categories: Mapping[str, int]
    """Error class → failed tries, the commonest first."""
    formless: Estimate | None
    """Failed tries in which the task finds no answer."""
    cut_off: Mapping[str, Estimate]
    withheld: int
    """Verdicts that were withheld."""
    distinct: float | None
    """Mean share of different texts among the reflections on one failure."""
    plain: Estimate | None
    """Retries that pass without a reflection."""
    others: Estimate | None
    """After another row's."""
    own: Estimate | None
    """After its own."""
    picked: Estimate | None
    """After an own one whose other retry passed: the best that choosing among them can do."""
    gold: Estimate | None
    """After the gold answer."""
    written: Estimate | None
    """After a reflection that the task has written."""
    own_over_none: Estimate | None
    own_over_others: Estimate | None
    picked_over_own: Estimate | None
    """What training can learn to choose."""
    picked_over_none: Estimate | None
    """What a reflection gains that has worked; without it retries would do as well."""
    gold_over_none: Estimate | None
    written_over_none: Estimate | None
    signal: Estimate | None
    """Groups whose retries both pass and fail."""
    signal_in_a_step: Estimate | None
    groups_needed: int | None
    """Groups in a step that surely has enough with a signal; None if there is no such number."""
    left_out: int = 0
    """Rows that were not tried for want of time."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def findings_of(sample: Sample) -> Findings:
    """The figures of a sample. Raises ValueError if no try got a verdict."""
    tried = [row for row in sample.tries if judged(row)]
    if not tried:
        raise ValueError("no try got a verdict")
    groups = sample.groups
    pairs = [(each.retries, each.again) for each in groups]
    own = [[*first, *again] for first, again in pairs]
    signals = [set(each) for each in (judged(first) for first, _ in pairs) if len(each) > 1]
    signal = _proportion(share(sum(len(each) > 1 for each in signals), len(signals))) if signals else None
    return Findings(
        rows=len(tried),
        tries=max(map(len, tried)),
        failures=len(groups),
        group_size=sample.group_size,
        batch_groups=sample.batch_groups,
        first_try=_sure(_rate(mean_share(tried))),
        reached=_proportion(share(sum(any(judged(row)) for row in tried), len(tried))),
        categories=dict(sample.classes.most_common()),
        formless=_of(sample.formless),
        cut_off={name: found for name, counts in sample.cut_off.items() if (found := _of(counts)) is not None},
        withheld=sum(each is None for row in sample.tries for each in row),
        distinct=sample.distinct,
        plain=_rate(mean_share([each.plain for each in groups])),
        others=_rate(mean_share([each.others for each in groups])),
        own=_rate(mean_share(own)),
        picked=_rate(picked(pairs)),
        gold=_rate(mean_share([each.gold for each in groups])),
        written=_rate(mean_share([each.written for each in groups])),
        own_over_none=_mean(gain([(each.plain, after) for each, after in zip(groups, own, strict=True)])),
        own_over_others=_mean(gain([(each.others, after) for each, after in zip(groups, own, strict=True)])),
        picked_over_own=_mean(worth(pairs)),
        picked_over_none=_mean(worth_over_none([(each.retries, each.again, each.plain) for each in groups])),
        gold_over_none=_mean(gain([(each.plain, each.gold) for each in groups])),
        written_over_none=_mean(gain([(each.plain, each.written) for each in groups])),
        signal=signal,
        signal_in_a_step=signal and signal.scaled(sample.batch_groups),
        groups_needed=None if signal is None else groups_needed(signal.value),
        left_out=sample.left_out,
    )


def groups_needed(signal: float) -> int | None:
    """The groups of a step in which surely enough have a signal, each with this probability; None beyond the largest.

    >>> groups_needed(0.5), groups_needed(1.0), groups_needed(0.0)
    (13, 4, None)
    """
    if signal <= 0:
        return None
    for count in range(ENOUGH, MOST_GROUPS + 1):
        fewer = sum(math.comb(count, n) * signal**n * (1 - signal) ** (count - n) for n in range(ENOUGH))
        if 1 - fewer >= SURE:
            return count
    return None


def _proportion(found: Proportion) -> Estimate:
    return Estimate(found.value, found.low, found.high, found.total)


def _of(counts: tuple[int, int] | None) -> Estimate | None:
    return _proportion(share(*counts)) if counts and counts[1] else None


def _mean(found: Mean | None) -> Estimate | None:
    """The mean with an interval that is never empty: equal values of a few failures are not the truth of all."""
    if found is None:
        return None
    least = 1 - (TWO_SIDED / 2) ** (1 / found.count)
    half = least if found.low is None or found.high is None or not found.deviation else found.high - found.value
    return Estimate(found.value, max(-1.0, found.value - half), min(1.0, found.value + half), found.count)


def _rate(found: Mean | None) -> Estimate | None:
    """The mean of shares: only differences are below 0."""
    estimate = _mean(found)
    return estimate and Estimate(estimate.value, max(0.0, estimate.low), estimate.high, estimate.count)


def _sure(found: Estimate | None) -> Estimate:
    assert found is not None
    return found


def shares_of(findings: Findings) -> Sequence[tuple[str, Estimate]]:
    """What was measured of retries, with its name for people, in order."""
    named = {
        "retry without a reflection": findings.plain,
        "retry after another row's": findings.others,
        "retry after its own": findings.own,
        "retry after one that has worked": findings.picked,
        "retry after a written one": findings.written,
        "retry after the gold answer": findings.gold,
    }
    return [(name, found) for name, found in named.items() if found is not None]


def gains_of(findings: Findings) -> Sequence[tuple[str, Estimate]]:
    """The paired gains, with their names for people, in order."""
    named = {
        "its own over none": findings.own_over_none,
        "its own over another row's": findings.own_over_others,
        "one that has worked over any": findings.picked_over_own,
        "one that has worked over none": findings.picked_over_none,
        "a written one over none": findings.written_over_none,
        "the gold answer over none": findings.gold_over_none,
    }
    return [(name, found) for name, found in named.items() if found is not None]
