"""Hands out shards to actors and takes their records in order: deaths are retried, up to a budget for each shard."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from rrr_core.cluster import messages
from rrr_core.cluster.messages import answer
from rrr_core.cluster.pool import Died, Event, Pool, Replied
from rrr_core.errors import RrrError
from rrr_core.evaluation.work import EvaluationWork
from rrr_core.generation import Engine, Generation, ModelSettings, Sampling
from rrr_core.hookspecs import Message, Model
from rrr_core.mining.shards import MiningWork
from rrr_core.processes.shards import Done, Elsewhere, ShardJob, ShardWork, Writable
from rrr_core.profiling.spent import Spent
from rrr_core.progress import Progress
from rrr_core.runs.stage import first_difference
from rrr_core.text import one_line
from rrr_core.verification import VerifySettings

Made = TypeVar("Made", bound=Writable)
Value = TypeVar("Value")

DEATHS = 4
"""Times that an actor may die at one shard: after that it is the shard's rows that end actors, and not chance."""
FAILED_STARTS = 4
"""Times in a row that an actor may die before it has loaded the model."""
PATIENCE = 300.0
"""Seconds without any actor after which the job ends."""
NOTED_AFTER = 60.0
"""Seconds after which it is said that the cluster has no room for all actors."""
AHEAD = 4
"""Shards for each actor that may be done before an earlier one is."""


class RemoteEngine(Engine):
    """The engine that every actor has: what is known of it here, for manifests. It writes nothing in this process."""

    def __init__(self, opened: Mapping[str, Any]) -> None:
        self.model = Model(**opened["model"])
        self._described, self._thinks = dict(opened["described"]), bool(opened["thinks"])
        self.said: str | None = opened["notice"]
        self.found: dict[str, object] = {}

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        raise AssertionError("the actors' engines write the texts")

    def describe(self) -> dict[str, object]:
        return self._described

    @property
    def thinks(self) -> bool:
        return self._thinks

    @property
    def notice(self) -> str | None:
        return self.said

    @property
    def findings(self) -> Mapping[str, object]:
        return self.found


class Actors(AbstractContextManager["Actors"]):
    """An executor whose shards are worked on by the actors of a pool. Use it in `with`, which ends the actors.

    A shard whose actor or machine died is worked on again, from the start, so its records are the same. Raises RrrError
    if the same shard ends actor after actor, if no actor can load the model, and if there has been none for a while.
    """

    leads = True

    def __init__(
        self,
        pool: Pool,
        wanted: int,
        model: ModelSettings,
        verify: VerifySettings | None = None,
        progress: Progress | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.pool, self.wanted, self.verify = pool, wanted, verify or VerifySettings()
        self.progress, self.patience = progress or Progress(), patience
        self._opening = messages.opening(model)
        self._engine: RemoteEngine | None = None
        self._first: Mapping[str, Any] = {}
        self._hosts: dict[int, str] = {}
        """Actor → its machine, once it has said so."""
        self._loaded: set[int] = set()
        """Actors that have loaded the model."""
        self._idle: list[int] = []
        """Actors with a loaded model and nothing to do."""
        self._shards: dict[int, tuple[object, int]] = {}
        """Actor → the call of `in_order` and the place of the shard that it works on."""
        self._failed_starts = 0
        self._began = self._alive_at = time.monotonic()
        self._has_noted = False
        for _ in range(wanted):
            self._start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.pool.close()

    def __enter__(self) -> Self:
        return self

    @property
    def engine(self) -> RemoteEngine:
        """The engine that all actors have, once the first has loaded it."""
        while self._engine is None:
            self._attend()
        return self._engine

    def agree(self, what: str, value: Value) -> Value:
        return value

    def meet(self, what: str) -> None:
        """Actors come and go."""

    def in_order(
        self, folder: Path, jobs: Iterable[ShardJob], work: ShardWork[Made], *, may_stop: bool = False
    ) -> Iterator[Done[Made]]:
        """See `Executor`. At most a few shards for each actor are done before they can be written."""
        known: object = work
        assert isinstance(known, MiningWork | EvaluationWork)
        engine, request, call = self.engine, messages.working(work, self.verify), object()
        coming, given = iter(jobs), dict[int, ShardJob]()
        replies, again, deaths = dict[int, str | RrrError](), deque[int](), Counter[int]()
        ahead = self.wanted * (1 if may_stop else AHEAD)
        taken, place = 0, 0  # shards handed out, and shards written
        while True:
            while place in replies:
                # An error is raised where this process would have met it: after all earlier shards.
                yield _done(replies.pop(place), given.pop(place), work, engine)
                known.judge.check_so_far()  # of what it has counted by now
                place += 1
            while self._idle and (again or taken < place + ahead):
                if again:
                    number = again.popleft()
                elif (job := next(coming, None)) is not None:
                    number, given[taken], taken = taken, job, taken + 1
                else:
                    break
                actor = self._idle.pop()
                self._shards[actor] = call, number
                self.pool.call(actor, "make", request, messages.write_job(given[number]))
            if not given:
                return
            for (of, number), event in self._attend():
                if of is not call:
                    continue
                if isinstance(event, Replied):
                    replies[number] = event.text
                    continue
                deaths[number] += 1
                if deaths[number] > DEATHS:
                    replies[number] = _poisonous(given[number], deaths[number], event.reason)
                else:
                    again.append(number)

    def _start(self) -> None:
        self.pool.call(self.pool.start(), "hello")

    def _attend(self) -> list[tuple[tuple[object, int], Event]]:
        """Wait for what actors do next. Gives what became of shards, each with its call of `in_order` and its place."""
        ended = []
        for event in self.pool.wait(min(5.0, self.patience)):
            shard = self._shards.pop(event.actor, None)
            if isinstance(event, Died):
                self._bury(event)
            elif shard is None:
                self._greet(event)
            else:
                self._idle.append(event.actor)
            if shard is not None:
                ended.append((shard, event))
        if self._hosts:
            self._alive_at = time.monotonic()
        elif time.monotonic() - self._alive_at > self.patience:
            raise RrrError(
                f"No actor has started for {self.patience:.0f} s. The cluster has {self.pool.room()}: give it machines,"
                " or actors that fit (--ray-actors), and run the same command again to resume."
            )
        self._note_missing()
        return ended

    def _greet(self, event: Replied) -> None:
        """Have a new actor load the model, and compare what it loaded with what the others have."""
        content = answer(event.text)
        if event.actor not in self._hosts:
            self._hosts[event.actor] = content["host"]
            self.pool.call(event.actor, "open", self._opening)
            return
        if self._engine is None:
            self._engine, self._first = RemoteEngine(content), content
        _check_alike(self._first, content)
        self._idle.append(event.actor)
        self._loaded.add(event.actor)
        self._failed_starts = 0

    def _bury(self, event: Died) -> None:
        """Replace a dead actor, unless one after the other has died before it could work."""
        host = self._hosts.pop(event.actor, None)
        where = f" on {host}" if host else ""
        if event.actor in self._loaded:
            self._loaded.remove(event.actor)
        else:
            self._failed_starts += 1
        if event.actor in self._idle:
            self._idle.remove(event.actor)
        if self._failed_starts < FAILED_STARTS:
            self.progress.say(f"An actor{where} died; its work is done again elsewhere.")
            self._start()
        elif not self._loaded:
            raise RrrError(
                f"No actor can load the model: {self._failed_starts} died of it, the last{where}:"
                f" {one_line(event.reason, 200)} Give them more memory, or use a smaller model."
            )
        else:
            self.progress.say(
                f"An actor{where} died before it could work ({one_line(event.reason, 200)}): not replaced."
            )

    def _note_missing(self) -> None:
        """Say once that the cluster has no room for all actors."""
        missing = self.wanted - len(self._hosts)
        if not missing or self._has_noted or time.monotonic() - self._began < NOTED_AFTER:
            return
        self._has_noted = True
        self.progress.say(
            f"{len(self._hosts)} of {self.wanted} actors have started, and the job goes on with them. The cluster has"
            f" {self.pool.room()}."
        )


def _done(reply: str | RrrError, job: ShardJob, work: ShardWork[Made], engine: RemoteEngine) -> Done[Made]:
    """The records of an actor's reply. Raises the error that it is, or holds."""
    if isinstance(reply, RrrError):
        raise reply
    content = answer(reply)
    engine.said, engine.found = content["notice"], {**engine.found, **content["findings"]}
    records = [work.read(line, f"{job.name}:{number}") for number, line in enumerate(content["lines"], start=1)]
    return Done(job, records, Elsewhere(content["lines"], Spent.from_json(content["spent"])))


def _poisonous(job: ShardJob, deaths: int, reason: str) -> RrrError:
    first, last = job.rows[0][0], job.rows[-1][0]
    return RrrError(
        f"The actors that worked on rows {first} to {last} ({job.name}) died, {deaths} times: {one_line(reason, 300)}"
        " If they ran out of memory, lower --batch-tokens; else see what engine and verifier do on these rows. Earlier"
        " shards are kept."
    )


def _check_alike(first: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Raise RrrError, naming what differs, if two machines would not write the same texts."""
    one, two = ({key: said[key] for key in ("model", "described", "thinks")} for said in (first, other))
    if difference := first_difference(one, two):
        key, mine, theirs = difference
        raise RrrError(
            f"The machines would not write the same texts: {key.removeprefix('described.')} is {mine!r} on"
            f" {first['host']} and {theirs!r} on {other['host']}. Install the same packages and models on all."
        )
