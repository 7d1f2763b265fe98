"""How often a model passes: rates that differ from row to row, and what follows from them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

PRIOR = 1.0
"""Tries at a rate of one half that are added to those seen, so that no rate is 0 or 1 for certain."""

MEANS = [place / 100 for place in range(1, 100)]
CONCENTRATIONS = [2.0 ** (place / 2) for place in range(-6, 15)]
"""The grid on which the likeliest rates are looked for; a concentration of 2^7 is nearly one rate for all rows."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Pass rates of rows: a beta distribution with this mean.

    Rows differ, and that decides how many tries mining takes: with one rate of 0.5 for all rows a failure takes two
    tries each, but with half of the rows always right those take all tries that are allowed.
    """

    mean: float
    concentration: float
    """The sum of the distribution's two parameters: near 0 each row nearly always passes or nearly always fails."""
    tries: int = 0
    """Tries that this was found from; 0 for an assumption."""

    @property
    def parameters(self) -> tuple[float, float]:
        return self.mean * self.concentration, (1 - self.mean) * self.concentration

    def error(self) -> float:
        """The standard error of the mean."""
        return math.sqrt(self.mean * (1 - self.mean) / max(self.tries, 1))

    def shifted(self, by: float) -> Rates:
        """The same spread around another mean, within 0 and 1."""
        return replace(self, mean=min(max(self.mean + by, 0.005), 0.995))

    def all_alike(self, tries: int) -> float:
        """The probability that so many tries at one row all pass or all fail.

        >>> round(Rates(0.5, 1e9).all_alike(2), 3), round(Rates(0.5, 1e-9).all_alike(2), 3)
        (0.5, 1.0)
        """
        one, other = self.parameters
        return sum(
            math.exp(_log_beta(*each) - _log_beta(one, other)) for each in ((one + tries, other), (one, other + tries))
        )


def fitted(counts: Iterable[tuple[int, int]]) -> Rates:
    """The likeliest rates, given (passes, failures) of each row.

    A row that was tried until its first failure counts the same: the order of its tries has a likelihood of its own,
    but the same for all rates.
    """
    seen = Counter(counts)
    tries = sum((passes + failures) * rows for (passes, failures), rows in seen.items())
    if not tries:
        raise ValueError("no tries to find rates from")

    def likelihood(point: tuple[float, float]) -> float:
        mean, concentration = point
        one, other = mean * concentration, (1 - mean) * concentration
        base = _log_beta(one, other)
        found = sum(
            rows * (_log_beta(one + passes, other + failures) - base) for (passes, failures), rows in seen.items()
        )
        return found + PRIOR / 2 * math.log(mean * (1 - mean))

    mean, concentration = max(product(MEANS, CONCENTRATIONS), key=likelihood)
    return Rates(mean, concentration, tries)


def _log_beta(one: float, other: float) -> float:
    return math.lgamma(one) + math.lgamma(other) - math.lgamma(one + other)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How often each kind of answer passes."""

    sampled: Rates
    """First tries at a temperature."""
    greedy: float
    """The share of first tries that pass at temperature 0."""
    retries: Rates
    """What reflections on failures come to: a retry that passes, or none of that."""
    without_retry: float = 0.0
    """The share of reflections that are empty or cut off, after which training has no retry."""

    def shifted(self, errors: float) -> Behaviour:
        """With first tries that pass less or more often by so many standard errors."""
        by = errors * self.sampled.error()
        return replace(self, sampled=self.sampled.shifted(by), greedy=min(max(self.greedy + by, 0.0), 1.0))
