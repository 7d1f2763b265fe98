"""The rows of a probe in waves, so that it ends in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic

from rrr_core.hookspecs import Row

PILOT = 4
"""Rows that are drawn first where time is limited, and never left out: they say how many more there is time for."""


def waves(rows: Sequence[Row], seconds: float | None) -> Iterator[Sequence[Row]]:
    """The rows that are drawn together: all, or a few and then, by their speed, as many more as there is time for.

    No wave is more than three times as long as all before it, since rows on which something passes take longer.
    """
    if seconds is None:
        yield rows
        return
    began, done = monotonic(), 0
    while wave := rows[done : done + (_fitting(done, monotonic() - began, seconds) if done else PILOT)]:
        yield wave
        done += len(wave)


def most_waves(rows: int, seconds: float | None) -> int:
    """How many waves there are if there is time for all rows.

    >>> most_waves(64, None), most_waves(4, 600.0), most_waves(64, 600.0), most_waves(65, 600.0)
    (1, 1, 3, 4)
    """
    count, done = 1, PILOT
    while seconds is not None and done < rows:
        count, done = count + 1, 4 * done
    return count


def _fitting(done: int, spent: float, seconds: float) -> int:
    """How many rows are drawn next, after so many in so many seconds.

    >>> _fitting(4, 10.0, 600.0), _fitting(4, 100.0, 250.0), _fitting(4, 300.0, 250.0)
    (12, 6, 0)
    """
    return max(0, min(3 * done, int(done * (seconds - spent) / max(spent, 1e-9))))
