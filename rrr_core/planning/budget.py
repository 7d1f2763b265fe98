"""The time of a probe: how many texts, and how many tokens of each, fit what is left of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]

FEWEST_ROWS, FEWEST_TOKENS = 8, 8
"""What is tried however long it takes: less shows neither lengths nor speeds."""


@dataclass
class Budget:
    """The seconds of a probe, and the calls that are to share what is left of them."""

    seconds: float
    calls: float
    """Calls that are still to come."""
    clock: Clock = time.perf_counter
    _began: float = field(init=False)
    _seen: list[tuple[int, float]] = field(default_factory=list)
    """Rows and seconds a token of the last calls."""

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def left(self) -> float:
        return self.seconds - (self.clock() - self._began)

    @property
    def is_over(self) -> bool:
        return self.left <= 0

    def saw(self, rows: int, steps: int, seconds: float) -> None:
        """A call of so many rows took so long."""
        self._seen = [*self._seen[-1:], (rows, seconds / max(steps, 1))]
        self.calls = max(self.calls - 1, 1.0)

    def tokens(self, rows: int, limit: int) -> int:
        """The most tokens of each text of the next call, up to the limit.

        >>> budget = Budget(10.0, calls=5, clock=lambda: 0.0)
        >>> budget.saw(4, 8, 0.8)
        >>> budget.tokens(4, 64), budget.tokens(16, 64)
        (25, 12)
        """
        per_step = self._per_step(rows)
        affordable = int(self.left / self.calls / per_step) if per_step else limit
        return min(max(affordable, FEWEST_TOKENS), limit)

    def rows(self, most: int, limit: int) -> int:
        """How many rows can be asked for texts of up to so many tokens: those that need not be cut off."""
        rows = most
        while rows > FEWEST_ROWS and self.tokens(rows, limit) < limit:
            rows = max(rows // 2, FEWEST_ROWS)
        return rows

    def _per_step(self, rows: int) -> float:
        # Between a device on which more rows cost nothing and one on which they cost as many times more.
        return max((seconds * max(rows / seen, 1.0) ** 0.5 for seen, seconds in self._seen), default=0.0)
