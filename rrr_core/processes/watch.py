"""A watch over processes that work together: one that waits too long ends them all, and says who waited where.

A collective operation waits for every process, and says nothing while it does. So each process notes where it is in the
launch's store, and a thread of each looks whether its process has been too long at a place where it may be waiting.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Self

from rrr_core.processes.meeting import Store, torch_store
from rrr_core.processes.world import World
from rrr_core.text import one_line

ENDED, AT = "watch/ended", "watch/at"
LOOKS = 20
"""Looks at the clock within the limit."""
LONGEST_PAUSE = 5.0
"""Seconds between two looks, at most."""
EXIT_CODE = 2


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process is, and since when."""

    name: str = "its start"
    waits: bool = False
    """Whether it may be waiting for others there; at its own work it may take any time."""
    since: float = 0.0

    def to_text(self) -> str:
        """As it is noted in the store."""
        return json.dumps([self.name, self.since])


class Watch:
    """One process's watch. Use it as a context: its thread runs inside."""

    def __init__(
        self,
        store: Store,
        rank: int,
        size: int,
        limit: float,
        *,
        clock: Callable[[], float] = time.time,
        say: Callable[[str], None] = _say,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        """`limit` is in seconds. `end` ends the process without waiting for any thread of it."""
        self.store, self.rank, self.size, self.limit = store, rank, size, limit
        self._clock, self._say, self._end = clock, say, end
        self._place = Place(since=clock())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self.enter(self._place.name)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def enter(self, name: str, waits: bool = False) -> None:
        """Note that this process is at another place from now on."""
        self._place = Place(name, waits, self._clock())
        self._note(self._place)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Inside, this process waits for others at its place, to do `what`; then it is at its own work again."""
        before = self._place
        self.enter(f"{before.name}, {what}", waits=True)
        yield
        self.enter(before.name, before.waits)

    def look(self) -> bool:
        """Look once: end this process if it, or another, has waited too long. Returns whether to go on looking."""
        if self.store.check([ENDED]):
            self._end(EXIT_CODE)
            return False
        place, now = self._place, self._clock()
        if not place.waits or now - place.since <= self.limit:
            return True
        if self.store.add(f"{ENDED}/count", 1) == 1:
            self._say(self._verdict(place, now))
            self.store.set(ENDED, str(self.rank))
        self._end(EXIT_CODE)
        return False

    def _verdict(self, place: Place, now: float) -> str:
        others = [rank for rank in range(self.size) if rank != self.rank]
        return (
            f"rank {self.rank} waited {now - place.since:.0f} s in {place.name}, over the limit of {self.limit:g} s"
            f" (--collective-timeout); {'; '.join(self._of(rank, now) for rank in others)}. All ranks end here: see"
            " what holds that up, and run the same command again to resume."
        )

    def _of(self, rank: int, now: float) -> str:
        key = f"{AT}/{rank}"
        if not self.store.check([key]):
            return f"rank {rank} had not started"
        name, since = json.loads(self.store.get(key))
        return f"rank {rank} was in {one_line(str(name))} for {now - since:.0f} s"

    def _note(self, place: Place) -> None:
        try:
            self.store.set(f"{AT}/{self.rank}", place.to_text())
        except RuntimeError:  # The process that serves the store is gone, and the launcher ends this one too.
            self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(min(LONGEST_PAUSE, self.limit / LOOKS)):
            try:
                if not self.look():
                    return
            except RuntimeError:  # As in `_note`.
                return


@contextmanager
def watching(world: World, limit: float) -> Iterator[Watch | Unwatched]:
    """The watch of this process of a launch; none for a process that is alone."""
    if world.size < 2:
        yield Unwatched()
        return
    # A connection of its own: the groups' may be waiting for an answer.
    with Watch(torch_store(world), world.rank, world.size, limit) as watch:
        yield watch


class Unwatched:
    """The watch of a process that is alone."""

    def enter(self, name: str, waits: bool = False) -> None:
        """Nobody asks where it is."""

    def waiting(self, what: str) -> AbstractContextManager[None]:
        """It waits for nobody."""
        return nullcontext()
