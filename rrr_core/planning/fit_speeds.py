"""Speeds of generation from timed calls: the least squares, with no speed below zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True, slots=True)
class Call:
    """One timed call of an engine."""

    prefilled: float
    steps: float
    written: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Decoding:
    """Seconds per prompt token read, per decoding step, and per token written."""

    prefilled: float
    step: float
    written: float

    def seconds(self, call: Call) -> float:
        return call.prefilled * self.prefilled + call.steps * self.step + call.written * self.written


def fit_speeds(calls: Sequence[Call]) -> Decoding:
    """The speeds with the smallest squared relative errors over all calls. Raises ValueError without any call.

    None is below zero, and a token that is read takes no longer than one that is written in a step of its own: calls
    that are much alike would else blame all their time on the few tokens that they read.

    >>> found = fit_speeds([Call(10, 5, 20, 4.5), Call(10, 5, 40, 5.5), Call(20, 5, 20, 5.5), Call(10, 9, 20, 6.5)])
    >>> [round(each, 3) for each in (found.prefilled, found.step, found.written)]
    [0.1, 0.5, 0.05]
    """
    used = [call for call in calls if call.seconds > 0]
    if not used:
        raise ValueError("no call took any time")
    rows = [[value / call.seconds for value in (call.prefilled, call.steps, call.written)] for call in used]
    best, least = [0.0, 0.0, 0.0], float("inf")
    for speeds in _candidates(rows):
        error = sum((sum(a * b for a, b in zip(row, speeds, strict=True)) - 1) ** 2 for row in rows)
        if error < least - 1e-12:
            best, least = speeds, error
    return Decoding(*best)


def _candidates(rows: Sequence[Sequence[float]]) -> Iterator[list[float]]:
    """The best speeds within the limits and on each of their edges: with so few, all can be tried."""
    for count in (1, 2, 3):
        for kept in combinations(range(3), count):
            found = _solved([[row[each] for each in kept] for row in rows])
            if found is not None and min(found) >= 0:
                prefilled, step, written = (found[kept.index(each)] if each in kept else 0.0 for each in range(3))
                if prefilled <= step + written:
                    yield [prefilled, step, written]
    # Where a token that is read takes just as long as one that is written in a step of its own.
    for kept in ((1,), (2,), (1, 2)):
        found = _solved([[row[0] + row[each] for each in kept] for row in rows])
        if found is not None and min(found) >= 0:
            step, written = (found[kept.index(each)] if each in kept else 0.0 for each in (1, 2))
            yield [step + written, step, written]


def _solved(rows: Sequence[Sequence[float]]) -> list[float] | None:
    """The least-squares solution of `rows · x = 1`; None if it is not unique. Gauss, on the normal equations."""
    size = len(rows[0])
    scales = [max((abs(row[each]) for row in rows), default=0.0) or 1.0 for each in range(size)]
    scaled = [[row[each] / scales[each] for each in range(size)] for row in rows]
    matrix = [
        [*(sum(row[one] * row[other] for row in scaled) for other in range(size)), sum(row[one] for row in scaled)]
        for one in range(size)
    ]
    for one in range(size):
        pivot = max(range(one, size), key=lambda row: abs(matrix[row][one]))
        if abs(matrix[pivot][one]) < 1e-9:
            return None
        matrix[one], matrix[pivot] = matrix[pivot], matrix[one]
        for other in range(size):
            if other != one:
                factor = matrix[other][one] / matrix[one][one]
                matrix[other] = [a - factor * b for a, b in zip(matrix[other], matrix[one], strict=True)]
    return [matrix[each][size] / matrix[each][each] / scales[each] for each in range(size)]
