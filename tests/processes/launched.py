"""A launch within one process, for tests: each rank in a thread, with a store in memory and a task of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rrr_core.processes.meeting import Meeting
from rrr_core.processes.ranks import Ranks
from rrr_core.processes.shards import ShardJob
from rrr_core.processes.world import World
from rrr_core.profiling.profile import Profile

Result = TypeVar("Result")


class MemoryStore:
    """torch's store, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._lock = threading.Lock()
        self.is_gone = False

    def set(self, key: str, value: str) -> None:
        self._asked()
        self.values[key] = value

    def get(self, key: str) -> bytes:
        self._asked()
        return self.values[key].encode()

    def add(self, key: str, amount: int) -> int:
        self._asked()
        with self._lock:
            total = int(self.values.get(f"number/{key}", "0")) + amount
            self.values[f"number/{key}"] = str(total)
        return total

    def check(self, keys: list[str]) -> bool:
        self._asked()
        return all(key in self.values for key in keys)

    def _asked(self) -> None:
        if self.is_gone:
            raise RuntimeError("Connection reset by peer")


def ranks(size: int, store: MemoryStore | None = None) -> list[Ranks]:
    """The executors of a launch."""
    store = store or MemoryStore()
    worlds = [World(rank, size, rank, size, launcher="torchrun") for rank in range(size)]
    return [Ranks(world, Meeting(world, store)) for world in worlds]


def all_at_once(members: Sequence[Any], work: Callable[[Any], Result]) -> list[Result]:
    """What `work` gives for each, in threads that run side by side."""
    with ThreadPoolExecutor(len(members)) as pool:
        return [each.result(60) for each in [pool.submit(work, member) for member in members]]


@dataclass(frozen=True)
class Square:
    """The record of a row."""

    number: int

    def to_json(self) -> dict[str, Any]:
        return {"square": self.number**2, "text": "é\u2028"}


@dataclass
class Squares:
    """Work that squares the rows of a shard, and counts its calls."""

    profile: Profile = field(default_factory=Profile)
    before_each: Callable[[ShardJob], None] = lambda job: None
    made: list[str] = field(default_factory=list)

    def make(self, job: ShardJob) -> list[Square]:
        self.before_each(job)
        self.made.append(job.name)
        with self.profile.during("generate"):
            self.profile.count(written=len(job.rows))
        return [Square(index) for index, _ in job.rows]

    def read(self, record: Any, place: str) -> Square:
        return Square(round(record["square"] ** 0.5))


def jobs(count: int, rows: int = 3) -> Iterator[ShardJob]:
    for number in range(count):
        yield ShardJob(f"shard-{number:05d}", number, [(number * rows + row, {}) for row in range(rows)])
