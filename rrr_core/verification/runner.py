"""The runner: verdicts from sandboxed workers, in order, whatever a verifier does to its worker.

An item that kills, hangs or confuses its worker abstains; a new worker takes over the rest of its batch. What ends
without any item's doing, the nursery or a worker that is starting, is started again.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from typing import Any

from rrr_core.errors import PluginError, RrrError
from rrr_core.hookspecs import Call, Step
from rrr_core.tasks import Task
from rrr_core.text import one_line
from rrr_core.verdicts import Verdict, abstained
from rrr_core.verification import messages
from rrr_core.verification.batches import LARGEST_BATCH, Batch, Pairs, batches
from rrr_core.verification.settings import FRESH, VerifySettings, cores
from rrr_core.verification.workers import OUTSIDE, NurseryLost, NurseryProcess, Worker

Reply = Verdict | Step

GATHER_SECONDS = 0.0005
"""Replies are left to accumulate: waking for each one costs more than a verdict. A channel holds thousands."""
START_SECONDS = 30.0
"""A worker is forked and locked in within milliseconds; it takes this long only on a badly overloaded machine."""
MOST_WORKERS = 4
MOST_LOSSES = 3
"""Times in a row, without a verdict between them, that the system may end a process of ours before we give up."""
_TIME_SIGNALS = (signal.SIGPROF, signal.SIGXCPU) if sys.platform != "win32" else ()


class Runner:
    """Judges with a task's verifier in workers of its own, which start on demand and end with `close`."""

    def __init__(self, task: Task, settings: VerifySettings, rewards: bool = False) -> None:
        """`rewards` says that rewards will be asked for, too. Raises RrrError if the system cannot fork."""
        if not hasattr(os, "fork"):
            raise RrrError(
                f"The verifier of {task.distribution} {task.version} is not marked @trusted, and this system has no "
                "process to isolate it in: use Linux or macOS, or set isolation to none if you trust it."
            )
        self.task, self.settings, self._rewards = task, settings, rewards
        self.most_workers = settings.workers or min(cores(), MOST_WORKERS)
        self._is_fresh = settings.isolation == FRESH
        self._losses = 0
        self._ask(())
        self._nursery: NurseryProcess | None = None
        self._selector = selectors.DefaultSelector()
        self._starting: dict[Worker, float] = {}
        """Worker → the deadline for reporting that it is ready, in monotonic seconds."""
        self._entered: set[Worker] = set()
        """The starting workers that are locked in, and now judge the plugin's own answers."""
        self._idle: list[Worker] = []
        self._busy: dict[Worker, Batch] = {}
        self._deadlines: dict[Worker, float] = {}
        """Busy worker → the deadline for its verdict."""
        self._killed: dict[Worker, Verdict | None] = {}
        """Killed worker → the abstention of the item it was killed for; None if that item is not to blame."""

    def verdicts(self, pairs: Pairs, judged: Sequence[Verdict] = ()) -> Generator[Verdict]:
        """The verdicts on (row, answer) pairs, in order, each as soon as all before it are available.

        Given the pairs' verdicts, `judged`, it is `rrr_reward` that is asked: the same verdicts come with their scores.

        Closing the iterator early cancels what is still being judged. Raises PluginError for a task that cannot be
        loaded in a process of its own, DataError for a row that is not JSON-able, and RrrError if no worker can start.
        """
        with closing(self._replies(pairs, judged, ())) as replies:
            for verdict in replies:
                assert isinstance(verdict, Verdict)
                yield verdict

    def steps(self, actions: Pairs, states: Sequence[Any], calls: Sequence[Sequence[Call]] = ()) -> Generator[Reply]:
        """What (row, action) pairs, with their calls, lead to from these states, or an abstention. As `verdicts`."""
        return self._replies(actions, (), states, calls)

    def _replies(
        self,
        pairs: Pairs,
        judged: Sequence[Verdict],
        states: Sequence[Any],
        calls: Sequence[Sequence[Call]] = (),
    ) -> Generator[Reply]:
        """The replies to what is asked of pairs, in order."""
        self._ask(judged, states, calls)
        found: list[Reply | None] = [None] * len(pairs)
        waiting = deque(batches(pairs, self.most_workers, 1 if self._is_fresh else LARGEST_BATCH, states, calls))
        given = 0
        try:
            while given < len(pairs):
                try:
                    self._assign(pairs, waiting)
                    self._wait(found, waiting)
                except NurseryLost as error:
                    self._start_over(error, found, waiting)
                while given < len(pairs) and (verdict := found[given]) is not None:
                    yield verdict
                    given += 1
        finally:
            try:
                for worker in list(self._busy):
                    self._kill(worker)
            except NurseryLost:
                self.close()
            self._busy.clear()
            self._deadlines.clear()

    def close(self) -> None:
        """Stop all workers. Judging again starts new ones."""
        if self._nursery is not None:
            self._nursery.close()
        self._nursery = None
        self._selector.close()
        self._selector = selectors.DefaultSelector()
        for table in (self._idle, self._starting, self._entered, self._busy, self._deadlines, self._killed):
            table.clear()

    def _ask(self, judged: Sequence[Verdict], states: Sequence[Any] = (), calls: Sequence[Sequence[Call]] = ()) -> None:
        """Name what is asked for next, and who is to blame for a fault.

        With `judged` that is a reward, with `states` a step, otherwise a verdict.
        """
        hook, self._due = ("rrr_step", "step") if states else ("rrr_verify", "verdict")
        if judged:
            hook, self._due = "rrr_reward", "reward"
        self._judged, self._states, self._calls, self._who = judged, states, calls, self.task.who(hook)

    def _start_over(self, error: RrrError, found: list[Reply | None], waiting: deque[Batch]) -> None:
        """Close what is left of a nursery that has ended, whose workers end with it; their items are judged again.

        Raises the error if that happens again and again.
        """
        self._count_loss(error)
        for worker in [*self._busy]:
            with suppress(NurseryLost):  # What would be killed now has ended.
                self._drain(worker)
                self._read(worker, found)
        for worker, batch in self._busy.items():
            if (blame := self._killed.get(worker)) is not None:
                found[batch.place] = blame
                batch.done += 1
        left = [Batch(batch.place, batch.stop) for batch in self._busy.values() if batch.place < batch.stop]
        waiting.extendleft(sorted(left, key=lambda batch: -batch.start))
        self.close()

    def _count_loss(self, error: RrrError) -> None:
        self._losses += 1
        if self._losses > MOST_LOSSES:
            raise RrrError(
                f"{error} That is the system's doing, not the plugin's, and it happened {self._losses} times in a row:"
                " something ends these processes, such as a lack of memory."
            ) from error

    def _assign(self, pairs: Pairs, waiting: deque[Batch]) -> None:
        """Give waiting batches to idle workers, and request workers for the rest."""
        if self._nursery is None and waiting:
            self._nursery = NurseryProcess(self.task.entries, self.settings, self._rewards)
            self._selector.register(self._nursery.socket, selectors.EVENT_READ)
        while waiting and self._idle and len(self._busy) < self.most_workers:
            worker, batch = self._idle.pop(), waiting.popleft()
            batch.first = messages.first_number()
            part = slice(batch.start, batch.stop)
            worker.unsent = memoryview(
                messages.encode_batch(
                    pairs[part], batch.first, self._judged[part], self._states[part], self._calls[part]
                )
            )
            self._busy[worker] = batch
            self._deadlines[worker] = time.monotonic() + self.settings.seconds
            self._watch(worker)
        assert self._nursery is not None or not waiting
        # With a process for each verdict, the next ones start while these judge.
        most = self.most_workers * (2 if self._is_fresh else 1)
        alive = len(self._busy) + len(self._starting) + (len(self._idle) if self._is_fresh else 0)
        for _ in range(min(len(waiting) - len(self._starting), most - alive)):
            assert self._nursery is not None
            worker = self._nursery.fork()
            self._starting[worker] = time.monotonic() + START_SECONDS
            self._selector.register(worker.channel, selectors.EVENT_READ, worker)

    def _wait(self, found: list[Reply | None], waiting: deque[Batch]) -> None:
        """Wait for the next event or deadline, and handle it."""
        deadlines = [*self._deadlines.values(), *self._starting.values()]
        nearest = min(deadlines, default=time.monotonic() + 1.0)
        ended: list[Worker] = []
        if self._busy:
            time.sleep(GATHER_SECONDS)
        for key, _ in self._selector.select(max(0.0, nearest - time.monotonic())):
            if key.data is None:
                assert self._nursery is not None
                ended += self._nursery.ended()
                continue
            worker: Worker = key.data
            # A closed channel means that the worker's end will be reported soon; if not, the deadline ends it.
            if not worker.receive() or not worker.send():
                self._selector.unregister(worker.channel)
            else:
                self._watch(worker)
            self._read(worker, found)
        for worker in ended:
            self._bury(worker, found, waiting)
        self._watch_clock()

    def _watch(self, worker: Worker) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.unsent else 0)
        if self._selector.get_key(worker.channel).events != wanted:
            self._selector.modify(worker.channel, wanted, worker)

    def _drain(self, worker: Worker) -> None:
        """Receive everything that a worker has sent."""
        while worker.channel.fileno() in self._selector.get_map():
            before = len(worker.received)
            if not worker.receive() or len(worker.received) == before:
                self._selector.unregister(worker.channel)

    def _read(self, worker: Worker, found: list[Reply | None]) -> None:
        """Handle the complete lines that a worker has sent."""
        if worker in self._killed:
            return
        *lines, rest = bytes(worker.received).split(b"\n")
        worker.received[:] = rest
        for line in lines:
            if worker in self._starting:
                self._start(worker, line)
            elif not self._take(worker, line, found):
                return
        longest = messages.LONGEST_STEP if self._states else messages.LONGEST_REPLY
        if rest and (len(rest) > longest or worker not in self._busy):
            self._refuse(worker, "said what nobody asked for")

    def _start(self, worker: Worker, line: bytes) -> None:
        if line == messages.ENTERED and worker not in self._entered:
            self._entered.add(worker)
            return
        if line != messages.READY:
            raise RrrError(f"A process for verifiers cannot be locked in: {one_line(ascii(line))}.")
        del self._starting[worker]
        self._entered.discard(worker)
        self._idle.append(worker)

    def _take(self, worker: Worker, line: bytes, found: list[Reply | None]) -> bool:
        """Handle one reply; False if the worker must not be used any more."""
        batch = self._busy.get(worker)
        if batch is None:
            self._refuse(worker, "said what nobody asked for")
            return False
        try:
            number = batch.first + batch.done
            verdict: Reply = (
                messages.checked_step_reply(line, number)
                if self._states
                else messages.checked_reply(line, number, bool(self._judged))
            )
        except messages.BadReply as error:
            self._refuse(worker, f"the answer's worker said what it should not: {error}")
            return False
        found[batch.place] = verdict
        batch.done += 1
        self._losses = 0
        self._deadlines[worker] = time.monotonic() + self.settings.seconds
        if batch.place == batch.stop:
            del self._busy[worker], self._deadlines[worker]
            self._idle.append(worker)
        if self._is_fresh:
            self._kill(worker)  # Whatever this item left in it ends with it.
            return False
        if isinstance(verdict, Verdict) and verdict.category == "memory" and verdict.is_abstained:
            self._kill(worker)  # Its memory may be used up for the next items too.
            return False
        return True

    def _refuse(self, worker: Worker, why: str) -> None:
        """Kill a worker that violates the protocol; the item it was judging abstains."""
        self._kill(worker, abstained("bad verdict", f"{self._who}: {why}"))

    def _kill(self, worker: Worker, blame: Verdict | None = None) -> None:
        """Kill a worker. `_bury` gives `blame` to the item it was judging, and the other items to another worker."""
        if worker in self._idle:
            self._idle.remove(worker)
        self._deadlines.pop(worker, None)
        self._killed[worker] = blame
        assert self._nursery is not None
        self._nursery.kill(worker)

    def _watch_clock(self) -> None:
        """Kill the workers with an overdue verdict. Replies that have arrived are read first."""
        now = time.monotonic()
        for worker, deadline in list(self._deadlines.items()):
            if deadline < now:
                detail = f"{self._who}: no {self._due} within {self.settings.seconds:g} seconds"
                self._kill(worker, abstained("timeout", detail))
        for worker, deadline in self._starting.items():
            if deadline < now and self._is_rehearsing(worker):
                fault = f"no verdict on an answer of its own rrr_examples within {START_SECONDS:g} seconds"
                raise PluginError(f"{self._who}: {fault}.")
            if deadline < now:
                raise RrrError(f"A process for verifiers did not start within {START_SECONDS:g} seconds.")

    def _bury(self, worker: Worker, found: list[Reply | None], waiting: deque[Batch]) -> None:
        """Handle a worker's end: read its last replies, blame the item it was judging, reassign the others."""
        self._drain(worker)
        self._read(worker, found)
        worker.channel.close()
        if worker in self._idle:
            self._idle.remove(worker)
        self._deadlines.pop(worker, None)
        blame = self._killed.pop(worker) if worker in self._killed else self._fault_of(worker)
        if self._starting.pop(worker, None) is not None:
            is_rehearsing = self._is_rehearsing(worker)
            self._entered.discard(worker)
            if is_rehearsing and -(worker.status or 0) not in OUTSIDE:
                raise PluginError(f"{self._fault_of(worker).detail}, on an answer of its own rrr_examples.")
            self._count_loss(RrrError(f"A process for verifiers ended as it started, with status {worker.status}."))
            return
        batch = self._busy.pop(worker, None)
        if batch is None:
            return
        if blame is not None:
            found[batch.place] = blame
            batch.done += 1
        if batch.place < batch.stop:
            waiting.appendleft(Batch(batch.place, batch.stop))

    def _is_rehearsing(self, worker: Worker) -> bool:
        """Whether a starting worker runs the plugin's code: its verifier, on its own examples."""
        return worker in self._entered and not self._is_fresh and self.task.implements("rrr_examples")

    def _fault_of(self, worker: Worker) -> Verdict:
        """What ended a worker that we did not kill, as the abstention of the item it was judging."""
        status = worker.status or 0
        if status >= 0:
            return abstained("exit", f"{self._who}: its process exited with status {status}")
        if -status in _TIME_SIGNALS:
            return abstained("timeout", f"{self._who}: no {self._due} within {self.settings.cpu_seconds:g} CPU seconds")
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        hint = " (the system may have run out of memory)" if name == "SIGKILL" else ""
        return abstained("crash", f"{self._who}: its process was ended by {name}{hint}")
