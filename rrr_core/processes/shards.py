"""What a shard's work is, apart from who does it: the seam between a stage and the processes that share its work.

A stage (mining, evaluation) hands out `ShardJob`s and writes the records it gets back, shard by shard and in order. An
`Executor` decides who makes them: this process, the ranks of a launch, or the actors of a cluster. Records depend on
the job and on what the work was made with (task, model, settings), never on who works beside whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from rrr_core.hookspecs import Row
from rrr_core.profiling.profile import Profile
from rrr_core.profiling.spent import Spent


class Writable(Protocol):
    """A record of one row."""

    def to_json(self) -> dict[str, Any]: ...


Made = TypeVar("Made", bound=Writable)
"""A stage's kind of record."""
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ShardJob:
    """A shard to work on: plain values alone, so that it can be sent to another process."""

    name: str
    """Of what it makes, the only one of that name in its stage: `shard-00003-4`, `greedy-00003`."""
    number: int
    """The shard's, from 0."""
    rows: Sequence[tuple[int, Row]]
    """Its rows, each with its place in the split."""
    mode: str = ""
    """The mode of an evaluation; empty in mining."""
    before: Sequence[Mapping[str, Any]] = ()
    """In mining, the records that an earlier sweep made of the same rows, as JSON; empty for a new shard."""
    depth: int = 0
    """In mining, the most tries a row has had after this sweep."""


@dataclass(frozen=True, slots=True)
class Done(Generic[Made]):
    """A shard's records, one for each row."""

    job: ShardJob
    records: Sequence[Made]
    elsewhere: Elsewhere | None = None
    """None if this process worked on it: its progress, verdicts and profile are then counted already."""

    def lines(self) -> Iterable[Mapping[str, Any]]:
        """What to write into the shard: what another process wrote, to the byte."""
        return self.elsewhere.lines if self.elsewhere is not None else (each.to_json() for each in self.records)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What comes with a shard that another process worked on."""

    lines: Sequence[Mapping[str, Any]]
    """The records as JSON."""
    spent: Spent
    """What it took there."""


class ShardWork(Protocol[Made]):
    """Makes a shard's records. Each process has its own, with its own engine and verifier."""

    @property
    def profile(self) -> Profile:
        """What measures it."""
        ...

    def make(self, job: ShardJob) -> list[Made]:
        """The records of a shard, a pure function of the job. Raises whatever task, engine and judge raise."""
        ...

    def read(self, record: Any, place: str) -> Made:
        """A record from JSON. Raises DataError naming `place`."""
        ...


class Executor(Protocol):
    """Who works on a stage's shards."""

    @property
    def leads(self) -> bool:
        """Whether this process writes the stage: its manifest, shards, figures and profile. Exactly one does."""
        ...

    def agree(self, what: str, value: Value) -> Value:
        """The leading process's value, in every process, which wait for it. `what` names it in errors."""
        ...

    def meet(self, what: str) -> None:
        """Wait until all processes are here. Raises RrrError naming those who do not come, and where they are."""
        ...

    def in_order(
        self, folder: Path, jobs: Iterable[ShardJob], work: ShardWork[Made], *, may_stop: bool = False
    ) -> Iterator[Done[Made]]:
        """The jobs done, in their order, in the leading process; it writes each before it takes the next.

        In all others nothing is yielded: they work until the leading process is through, and `jobs` are what of its
        jobs they may find undone. With `may_stop` the leading process may stop before the last job, so that work beyond
        the next few jobs may be in vain. What was made beyond the last job taken is forgotten.
        """
        ...


class ThisProcess:
    """Does all work itself, one job after the other."""

    leads = True

    def agree(self, what: str, value: Value) -> Value:
        return value

    def meet(self, what: str) -> None:
        pass

    def in_order(
        self, folder: Path, jobs: Iterable[ShardJob], work: ShardWork[Made], *, may_stop: bool = False
    ) -> Iterator[Done[Made]]:
        for job in jobs:
            yield Done(job, work.make(job))
