"""The rows of a probe in waves, so that it ends in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic

from rrr_core.hookspecs import Row

PILOT = 4
"""Rows that are drawn first where time is limited, and never left out; no later wave has fewer."""


def waves(rows: Sequence[Row], seconds: float | None) -> Iterator[Sequence[Row]]:
    """The rows that are drawn together: all, or a few and then, by their speed, as many more as there is time for.

    A wave is at most three times as long as all before it together, since rows on which something passes take longer.
    """
    if seconds is None:
        yield rows
        return
    began, done = monotonic(), 0
    while size := _next(done, len(rows) - done, monotonic() - began, seconds):
        yield rows[done : done + size]
        done += size


def _next(done: int, left: int, spent: float, seconds: float) -> int:
    """How many rows are drawn next, after so many in so many seconds; 0 for no more.

    >>> _next(0, 64, 0.0, 600.0), _next(4, 60, 10.0, 600.0), _next(16, 48, 40.0, 600.0)
    (4, 12, 48)
    >>> _next(4, 60, 100.0, 250.0), _next(4, 60, 200.0, 250.0), _next(0, 7, 0.0, 600.0)
    (6, 0, 7)
    """
    fitting = min(3 * done, int(done * (seconds - spent) / max(spent, 1e-9))) if done else PILOT
    if fitting < min(PILOT, left):
        return 0
    return left if left - fitting < PILOT else fitting
