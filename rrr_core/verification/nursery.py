"""The nursery: a small process that loads a task once and then forks workers in milliseconds.

`python -P -m rrr_core.verification.nursery`, with a socket to the core as standard input. It reads lines of JSON: first
what to load, then `{"fork": NUMBER}`, sent along with the worker's end of a channel, and `{"kill": NUMBER}`. It writes
lines too: `{"loaded": true}` or `{"error": TEXT}`, and `{"exited": NUMBER, "status": STATUS}` for each worker that
ended, negative for a signal as in `subprocess`. The nursery runs no verifier on a
model's text. When the core closes the socket or
dies in any way, the nursery kills its workers, removes its folder and exits.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rrr_core.errors import RrrError
from rrr_core.hookspecs import Example, Row
from rrr_core.tasks import Task, TaskEntry
from rrr_core.tasks.loading import load_entries
from rrr_core.verification import protection_attempts, sandbox, worker
from rrr_core.verification.cleaning import remove


@dataclass
class Nursery:
    """The nursery's state: its channel to the core and its live workers."""

    core: socket.socket
    folder: Path
    task: Task | None = None
    readable: tuple[str, ...] = ()
    limits: dict[str, Any] = field(default_factory=dict)
    rehearsal: tuple[tuple[Row, str], ...] = ()
    rewards: bool = False
    """Whether its workers will be asked for rewards, too."""
    workers: dict[int, int] = field(default_factory=dict)
    """Process ID → the core's number for the worker."""

    def send(self, **message: Any) -> None:
        self.core.sendall((json.dumps(message) + "\n").encode())

    def load(self, entries: list[dict[str, Any]], limits: dict[str, Any], rehearse: bool, rewards: bool) -> None:
        """Import the task's plugin and overlays. Raises RrrError.

        With `rehearse` its own answers are judged here and now, for workers that judge once and have no time for it.
        """
        self.task = load_entries([TaskEntry(**entry) for entry in entries]) if entries else None
        self.rehearsal, self.rewards = rehearsal_of(self.task) if self.task else (), rewards
        if rehearse and self.task:
            worker.rehearse(self.task, self.rehearsal, rewards)
            self.rehearsal = ()
            gc.collect()
            gc.freeze()
        self.limits = limits
        sandbox.prepare()
        self.readable = sandbox.readable_paths()

    def fork(self, number: int, channel: int, probe: dict[str, Any] | None) -> None:
        """Fork the worker `number`, which talks to the core over the file descriptor `channel`."""
        scratch = self.scratch(number)
        scratch.mkdir(mode=0o700)
        post = worker.Post(
            scratch,
            self.readable,
            parent=os.getpid(),
            rehearsal=self.rehearsal,
            rewards=self.rewards,
            **self.limits,
        )
        process = os.fork()
        if not process:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if probe is not None:
                worker.guarded(partial(protection_attempts.run, channel, post, probe))
            assert self.task is not None
            worker.guarded(partial(worker.run, self.task, channel, post))
        os.close(channel)
        self.workers[process] = number

    def kill(self, number: int) -> None:
        for process, each in self.workers.items():
            if each == number:
                os.kill(process, signal.SIGKILL)

    def reap(self) -> None:
        """Report each worker that ended to the core, once nothing of it is left."""
        while self.workers:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            self.clear(process, status)

    def clear(self, process: int, status: int) -> None:
        number = self.workers.pop(process, None)
        if number is None:
            return
        end_group(process)
        remove(self.scratch(number))
        self.send(exited=number, status=os.waitstatus_to_exitcode(status))

    def scratch(self, number: int) -> Path:
        return self.folder / f"worker-{number}"

    def close(self) -> None:
        """Kill all workers and remove the folder."""
        for process in self.workers:
            os.kill(process, signal.SIGKILL)
        for process in self.workers:
            os.waitpid(process, 0)
            end_group(process)
        os.chdir("/")
        remove(self.folder)


def rehearsal_of(task: Task) -> tuple[tuple[Row, str], ...]:
    """One passing and one failing answer from the plugin's examples, never a hostile one; none without valid ones.

    The limit on a verifier's faults counts only real verdicts, so the conformance checks report broken examples.
    """
    firsts: dict[str, Example] = {}
    try:
        for example in task.each_example():
            if not example.hostile:
                firsts.setdefault(example.outcome, example)
            if len(firsts) == 2:
                break
    except RrrError:
        return ()
    return tuple((example.row, example.answer) for example in firsts.values())


def end_group(process: int) -> None:
    """Kill what a worker has started, if no sandbox kept it from starting processes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


def main() -> None:
    """Serve the core until it closes the channel."""
    core = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    nursery = Nursery(core, Path.cwd())
    try:
        serve(nursery)
    except (BrokenPipeError, ConnectionResetError):  # The core is gone.
        pass
    finally:
        nursery.close()


def serve(nursery: Nursery) -> None:
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    os.set_blocking(woken, False)
    # Python runs signal handlers between two instructions; the pipe wakes the selector as soon as a worker ends.
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    lines, descriptors = b"", []
    with selectors.DefaultSelector() as selector:
        selector.register(nursery.core, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == woken:
                    os.read(woken, 4096)
                    continue
                data, received, *_ = socket.recv_fds(nursery.core, 1 << 16, 16)
                if not data:
                    return
                descriptors += received
                *whole, lines = (lines + data).split(b"\n")
                for line in whole:
                    obey(nursery, json.loads(line), descriptors)
            nursery.reap()


def obey(nursery: Nursery, message: dict[str, Any], descriptors: list[int]) -> None:
    match message:
        case {"load": entries, "path": path, "limits": limits}:
            sys.path[:] = path
            try:
                nursery.load(entries, limits, message.get("rehearse", False), message.get("rewards", False))
            except RrrError as error:
                nursery.send(error=str(error))
            else:
                nursery.send(loaded=True)
        case {"fork": number}:
            nursery.fork(number, descriptors.pop(0), message.get("probe"))
        case {"kill": number}:
            nursery.kill(number)


if __name__ == "__main__":
    main()
