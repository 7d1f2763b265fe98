"""A sitting: one batch of answers for the person, with the verdicts given so far.

The terminal and the page are two interfaces to it. Its methods may be called from any thread; all raise RrrError if a
verdict cannot be written.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from rrr_core import Verdict
from rrr_core.errors import RrrError
from rrr_person_judge.record import Item, VerdictFile


class Stopped(RrrError):
    """The person stopped for now."""


class Sitting:
    """A batch of different items. It is open until it is handed over, stopped, or its file fails."""

    def __init__(self, items: Sequence[Item], file: VerdictFile) -> None:
        self.items = tuple(items)
        self.file = file
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._error: BaseException | None = None

    @property
    def judged(self) -> int:
        """How many of the items have a verdict."""
        with self._lock:
            return sum(item.key in self.file.verdicts for item in self.items)

    @property
    def is_complete(self) -> bool:
        return self.judged == len(self.items)

    def verdict(self, index: int) -> Verdict | None:
        """The verdict on an item, or None if it has none yet."""
        return self.file.verdicts.get(self.items[index].key)

    def next_open(self, after: int = -1) -> int | None:
        """The first item without a verdict after `after`, wrapping around to the start; None if all have one."""
        order = [*range(after + 1, len(self.items)), *range(after + 1)]
        with self._lock:
            return next((index for index in order if self.verdict(index) is None), None)

    def last_given(self) -> int | None:
        """The item whose verdict was given last, in this call or an earlier one; None if none has one."""
        with self._lock:
            order = {key: place for place, key in enumerate(self.file.verdicts)}
            judged = [index for index, item in enumerate(self.items) if item.key in order]
            return max(judged, key=lambda index: order[self.items[index].key], default=None)

    def give(self, index: int, verdict: Verdict) -> None:
        """Save the verdict on an item, replacing an earlier one."""
        with self._lock:
            self.file.keep(self.items[index], verdict)

    def take_back(self) -> int | None:
        """Forget the verdict that was given last, and return its item; None if there is none."""
        with self._lock:
            index = self.last_given()
            if index is not None:
                self.file.take_back(self.items[index].key)
            return index

    def stopped(self) -> Stopped:
        """The one line that ends the job."""
        return Stopped(
            f"stopped: {self.judged:,} of the {len(self.items):,} answers asked for now are judged, and every verdict "
            f"is in {self.file.path}: the same command resumes."
        )

    def end(self, error: BaseException | None = None) -> None:
        """End the sitting: handed over, or with the error that `wait` raises."""
        self._error = error
        self._ended.set()

    def wait(self) -> None:
        """Wait until the sitting ends. Raises the error that it ended with, and KeyboardInterrupt."""
        self._ended.wait()
        if self._error is not None:
            raise self._error
