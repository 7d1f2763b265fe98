"""Figures corrected for a verifier's known rates of false passes and false failures, where that can be done.

With false passes P and false failures Q, a share p of passed verdicts on answers of which t are right is
p = t·(1 − Q) + (1 − t)·P, so t = (p − P) / (1 − P − Q) (W. J. Rogan and B. Gladen, American Journal of Epidemiology
107:71-76, 1978). That takes errors that do not depend on the row, nor on earlier errors on it.

A second try is not one such share. The first verdict, errors included, decides who gets a retry: a right answer that
was falsely failed is retried, and a wrong one that was falsely passed stays as it is and counts as right. Where a is
the share of first tries that passed and s the share that passed in the end, the share of *final answers* that are right
is

    (1 − Q)·t + (1 − a)·r,  with t = (a − P) / (1 − P − Q) right first tries, of which 1 − Q passed and stay, and
                             r = ((s − a) / (1 − a) − P) / (1 − P − Q), the right ones among the retries

    = (s + (P − Q)·a − P·(2 − Q)) / (1 − P − Q)

so Rogan and Gladen's formula on s alone would be wrong. A control is such a second try, too; what the reflection adds
to one is a difference of two of them with the same first tries, so only 1 / (1 − P − Q) of the correction is left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rrr_core.errors import RrrError
from rrr_core.evaluation.statistics import Difference, Proportion, wilson

FIRST_TRY, OF_FAILURES = "first_try", "second_try_of_failures"
"""The figures whose answers are each judged once. All others are shares of final answers, after a first verdict."""


@dataclass(frozen=True, slots=True)
class KnownNoise:
    """The known rates of a verifier's errors, from 0 to 1."""

    false_pass: float = 0.0
    """The probability that a wrong answer passes."""
    false_fail: float = 0.0
    """The probability that a right answer fails."""

    def __post_init__(self) -> None:
        if self.false_pass + self.false_fail >= 1:
            raise RrrError(
                f"--known-false-pass {self.false_pass:g} and --known-false-fail {self.false_fail:g} add up to"
                f" {self.false_pass + self.false_fail:g}: they must stay below 1, where verdicts say nothing any more."
            )

    def __bool__(self) -> bool:
        return self.false_pass > 0 or self.false_fail > 0

    @property
    def note(self) -> str:
        """What a reader must know of the corrected figures."""
        return (
            f"Corrected figures assume that the verifier passes {self.false_pass:.1%} of the wrong answers and fails"
            f" {self.false_fail:.1%} of the right ones, whatever the row and its verdict on an earlier answer."
            " Those of a second try are the share of final answers that are right; who got a retry is not corrected."
        )

    @property
    def scale(self) -> float:
        """How far apart right and wrong answers are in the share that passes."""
        return 1 - self.false_pass - self.false_fail


@dataclass(frozen=True, slots=True)
class Corrected:
    """A corrected share or difference with its interval."""

    value: float
    low: float
    high: float


def corrected_share(share: Proportion, noise: KnownNoise) -> Corrected:
    """The share of answers that are right, given the share that passed; the interval's ends are transformed alike."""
    return _clipped(*((end - noise.false_pass) / noise.scale for end in (share.value, share.low, share.high)), least=0)


def corrected_end(passed_at_first: int, end: Proportion, noise: KnownNoise) -> Corrected:
    """The share of final answers that are right, given how many rows passed at first and the share that passed at all.

    The interval combines the two Wilson intervals with their correlation, as Newcombe's for a paired difference does
    (G. Y. Zou and A. Donner, Statistics in Medicine 27:1693-1702, 2008); with equal rates only the second counts.
    """
    first = wilson(passed_at_first, end.total)
    weight = noise.false_pass - noise.false_fail
    value = end.value + weight * first.value
    # A row that passed at first passed at all, so the two are correlated.
    spread = end.value * (1 - first.value)
    correlation = math.sqrt(first.value * (1 - end.value) / spread) if spread else 0.0

    def reach(of_end: float, of_first: float) -> float:
        return math.sqrt(max(0.0, of_end**2 + of_first**2 + 2 * correlation * of_end * of_first))

    down, up = (first.value - first.low, first.high - first.value)
    below = reach(end.value - end.low, weight * (down if weight > 0 else up))
    above = reach(end.high - end.value, weight * (up if weight > 0 else down))
    off = noise.false_pass * (2 - noise.false_fail)
    return _clipped(*((each - off) / noise.scale for each in (value, value - below, value + above)), least=0)


def corrected_gain(gain: Difference, noise: KnownNoise) -> Corrected:
    """What a second try adds to a control, in right answers: both share their first tries, whose errors cancel."""
    return _clipped(*(each / noise.scale for each in (gain.value, gain.low, gain.high)), least=-1)


def corrections(
    shares: Mapping[str, Proportion | None], gains: Mapping[str, Difference | None], noise: KnownNoise
) -> dict[str, Any]:
    """What `figures.json` holds under `corrected`: the rates, and each share and gain that can be corrected for them.

    A figure that was not measured is left out.
    """
    first = shares.get(FIRST_TRY)
    corrected: dict[str, Corrected] = {}
    for name, share in shares.items():
        if share is None:
            continue
        if name in (FIRST_TRY, OF_FAILURES):
            corrected[name] = corrected_share(share, noise)
        elif first is not None:
            corrected[name] = corrected_end(first.passed, share, noise)
    return {
        "known_false_pass": noise.false_pass,
        "known_false_fail": noise.false_fail,
        "shares": {name: asdict(each) for name, each in corrected.items()},
        "gains": {name: asdict(corrected_gain(gain, noise)) for name, gain in gains.items() if gain is not None},
    }


def _clipped(value: float, low: float, high: float, *, least: float) -> Corrected:
    return Corrected(*(min(1.0, max(least, each)) for each in (value, low, high)))
