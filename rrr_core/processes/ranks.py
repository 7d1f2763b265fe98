"""The ranks of a launch at a stage's shards: each claims the next one that is free, and the first writes them all.

The others hand in what they have made (`rrr_core.processes.claims`). The first process works on shards as well, and
takes over those handed in, in order: so one process writes a stage's folder, and its bytes are those of a single one.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from rrr_core.errors import RrrError
from rrr_core.processes.claims import Claims
from rrr_core.processes.meeting import Meeting, torch_store
from rrr_core.processes.shards import Done, Executor, Made, ShardJob, ShardWork, ThisProcess
from rrr_core.processes.world import World
from rrr_core.profiling.spent import Spent
from rrr_core.runs.layout import StageFolder

Value = TypeVar("Value")
WINDOW = 64
"""Jobs for each process that the first one looks through at once for one that is free."""
AHEAD = 2
"""Shards for each process that may be handed in beyond the one that is due, where later ones may be in vain."""

UNMET: dict[World, RrrError] = {}
"""Why a launch could not be met: who asks again, as to say who fails, does not wait as long again."""
MET: dict[World, Ranks] = {}
"""The executor of the launch that this process has met, which it meets once."""


def executor_of(world: World) -> Executor:
    """Who works on shards in this process's launch. Raises RrrError if the others cannot be reached."""
    if world.size == 1:
        return ThisProcess()
    if world in UNMET:
        raise UNMET[world]
    try:
        if world not in MET:
            MET[world] = Ranks(world, Meeting(world, torch_store(world, say=_say)))
        return MET[world]
    except RrrError as error:
        UNMET[world] = error
        raise
    except KeyboardInterrupt:
        UNMET[world] = RrrError("interrupted before all processes of this launch had met.")
        raise


def _say(line: str) -> None:
    sys.stderr.write(f"rrr: {line}\n")


class Ranks:
    """The executor of a launch with several processes."""

    def __init__(self, world: World, meeting: Meeting) -> None:
        self.world, self.meeting = world, meeting
        self._batches = 0

    @property
    def leads(self) -> bool:
        return self.world.leads

    def agree(self, what: str, value: Value) -> Value:
        return self.meeting.agree(what, value)

    def meet(self, what: str) -> None:
        self.meeting.meet(what)

    def in_order(
        self, folder: Path, jobs: Iterable[ShardJob], work: ShardWork[Made], *, may_stop: bool = False
    ) -> Iterator[Done[Made]]:
        self._batches += 1
        claims = Claims(StageFolder(folder).claims, self.world.rank, self.world.size)
        over = f"over/{self._batches}"
        if self.leads:
            claims.open()
        self.agree(f"the shards of {folder}", None)
        if not self.leads:
            self._assist(claims, iter(jobs), work, over, may_stop)
            return
        window = self.world.size * (AHEAD if may_stop else WINDOW)
        try:
            yield from self._lead(claims, iter(jobs), work, window)
        except GeneratorExit:
            # Only a stage that may stop early leaves before the end on purpose. After an error nothing is thrown away.
            if may_stop:
                self._close(claims, over)
            raise
        self._close(claims, over)

    def _close(self, claims: Claims, over: str) -> None:
        """Wait until no other process is at a shard, and forget what is not needed."""
        self.meeting.note(over)
        pause = self.meeting.pauses()
        while claims.others_present():
            pause()
        claims.close()

    def _lead(
        self, claims: Claims, jobs: Iterator[ShardJob], work: ShardWork[Made], window: int
    ) -> Iterator[Done[Made]]:
        pending: deque[ShardJob] = deque()
        own: dict[str, list[Made]] = {}
        """What this process made before its turn. It is handed in as well, so that a kill loses none of it."""
        pause = self.meeting.pauses()
        while pending or _extend(pending, jobs):
            self.meeting.check()
            due = pending[0]
            if claims.is_handed_in(due):
                pending.popleft()
                yield Done(due, own.pop(due.name)) if due.name in own else _taken(claims, due, work)
                claims.forget(due)
                pause = self.meeting.pauses()
                continue
            with ExitStack() as held:
                job = claims.claim(_through(pending, jobs, window), held)
                if job is not None:
                    records = work.make(job)
                    if job is due:
                        pending.popleft()
                        yield Done(due, records)
                    else:
                        own[job.name] = records
                        claims.hand_in(job, [each.to_json() for each in records], Spent())
            if job is None:
                pause()
            else:
                pause = self.meeting.pauses()

    def _assist(
        self, claims: Claims, jobs: Iterator[ShardJob], work: ShardWork[Made], over: str, may_stop: bool
    ) -> None:
        with claims.present() as is_open:
            seen: deque[ShardJob] = deque()
            pause = self.meeting.pauses()
            while is_open and not self.meeting.has(over):
                self.meeting.check()
                job = None
                with ExitStack() as held:
                    if not may_stop or claims.ahead() < AHEAD * self.world.size:
                        job = claims.claim(_through(seen, jobs), held)
                    if job is not None:
                        before = work.profile.spent()
                        records = work.make(job)
                        claims.hand_in(job, [each.to_json() for each in records], work.profile.spent().minus(before))
                if job is None:
                    pause()
                else:
                    pause = self.meeting.pauses()
                # The others' claims stay in view: whoever dies gives a shard back.
                seen = deque(each for each in seen if not claims.is_done(each))


def _taken(claims: Claims, job: ShardJob, work: ShardWork[Made]) -> Done[Made]:
    """What another process handed in."""
    elsewhere = claims.take(job)
    records = [work.read(line, f"{job.name}:{place}") for place, line in enumerate(elsewhere.lines, start=1)]
    return Done(job, records, elsewhere)


def _through(seen: deque[ShardJob], jobs: Iterator[ShardJob], window: int | None = None) -> Iterator[ShardJob]:
    """The jobs seen so far, then further ones, which are then seen as well, up to `window` in all."""
    yield from list(seen)
    while (window is None or len(seen) < window) and _extend(seen, jobs):
        yield seen[-1]


def _extend(seen: deque[ShardJob], jobs: Iterator[ShardJob]) -> bool:
    """Whether there was one more job, which is now seen."""
    for job in jobs:
        seen.append(job)
        return True
    return False
