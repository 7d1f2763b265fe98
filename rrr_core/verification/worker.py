"""A worker: a process that locks itself in, then judges batches of answers until its channel closes.

The nursery forks it with the task already loaded; it ends with `os._exit`, never by returning.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from rrr_core.episode.calls import calls_from_json
from rrr_core.hookspecs import Call, Row, Step
from rrr_core.tasks import Task
from rrr_core.tasks.blame import describe_exception
from rrr_core.verdicts import Verdict, abstained
from rrr_core.verification import messages, sandbox

CHANNEL = 3
"""A worker's only file descriptor besides three of the null device."""

Given = TypeVar("Given", bound=Step | Verdict)
FAULT = 70
"""The exit status of a worker whose own code failed: EX_SOFTWARE of sysexits.h."""


@dataclass(frozen=True)
class Post:
    """What a worker needs to know at its start."""

    scratch: Path
    """Its own folder: its current folder, and the only one it may write to."""
    readable: tuple[str, ...]
    """Files and folders it may read."""
    memory_mb: int
    cpu_seconds: float
    parent: int
    """The nursery's process ID."""
    rehearsal: tuple[tuple[Row, str], ...] = ()
    """The plugin's own answers to judge first, so no model's answer pays for what a verifier puts off."""
    rewards: bool = False
    """Whether it will be asked for rewards, too."""


def run(task: Task, channel: int, post: Post) -> NoReturn:
    """Be a worker on the file descriptor `channel`."""
    keep_only(channel)
    enter(post)
    task.is_sandboxed = True
    write(messages.ENTERED + b"\n")
    rehearse(task, post.rehearsal, post.rewards)
    write(messages.READY + b"\n")
    while (batch := messages.read_batch(read)) is not None:
        judge(task, batch, post.cpu_seconds)
    os._exit(0)


def rehearse(task: Task, pairs: Sequence[tuple[Row, str]], rewards: bool) -> None:
    """Judge the plugin's own answers, so that what its hooks put off until their first call is done."""
    for row, answer in pairs:
        verdict = verdict_on(task, row, answer)
        if rewards and not verdict.is_abstained:
            reward_on(task, row, answer, verdict)
        if task.has_steps:
            step_from(task, row, None, answer)


def enter(post: Post) -> None:
    """Give up everything a verifier does not need."""
    os.setpgid(0, 0)
    os.chdir(post.scratch)
    for name in ("HOME", "TMPDIR"):
        os.environ[name] = str(post.scratch)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    sandbox.lock(post.scratch, post.readable, post.memory_mb)
    if os.getppid() != post.parent:  # It ended before this process had asked to end with it.
        os._exit(0)


def keep_only(channel: int) -> None:
    """Close every file descriptor except the channel, which becomes 3, and the first three, which lead nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    kept = os.dup(channel) if channel <= CHANNEL else channel
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.dup2(kept, CHANNEL)
    os.closerange(CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))


def judge(task: Task, batch: dict[str, Any], cpu_seconds: float) -> None:
    """Judge the items of a batch, reporting each at once: if one kills the worker, the core knows which."""
    rows, number, judged, states = batch["rows"], batch["first"], batch.get("judged"), batch.get("states")
    calls = batch.get("calls")
    for index, (place, answer) in enumerate(batch["items"]):
        # SIGPROF's default action ends the process even inside C code. The wall clock is watched by the core.
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        if states is not None:
            called = calls_from_json(calls[index]) if calls else ()
            write(messages.encode_step(number + index, step_from(task, rows[place], states[index], answer, called)))
        elif judged is not None:
            given = reward_on(task, rows[place], answer, Verdict(**judged[index]))
            write(messages.encode_reply(number + index, given))
        else:
            write(messages.encode_reply(number + index, verdict_on(task, rows[place], answer)))
    signal.setitimer(signal.ITIMER_PROF, 0)


def verdict_on(task: Task, row: Row, answer: str) -> Verdict:
    """The verifier's verdict."""
    return _guarded(task, "rrr_verify", lambda: task.verify(row, answer))


def reward_on(task: Task, row: Row, answer: str, verdict: Verdict) -> Verdict:
    """The verdict with the task's reward."""
    return _guarded(task, "rrr_reward", lambda: task.reward(row, answer, verdict))


def step_from(task: Task, row: Row, state: Any, action: str, calls: Sequence[Call] = ()) -> Step | Verdict:
    """What an action leads to; an abstention if the plugin is at fault."""
    return _guarded(task, "rrr_step", lambda: task.step(row, state, action, calls))


def _guarded(task: Task, hook: str, call: Callable[[], Given]) -> Given | Verdict:
    try:
        return call()
    except MemoryError:
        return abstained("memory", f"{task.who(hook)}: MemoryError")
    except BaseException as error:  # noqa: BLE001 - a KeyboardInterrupt here is the hook's own, never the user's
        return abstained("exception", f"{task.who(hook)}: {describe_exception(error, '')}")


# Plain reads and writes, so the sandbox need not allow any socket system call.


def read(count: int) -> bytes:
    """`count` bytes from the channel, or fewer at its end."""
    parts: list[bytes] = []
    while count:
        part = os.read(CHANNEL, min(count, 1 << 20))
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(CHANNEL, view) :]


def guarded(work: Callable[[], NoReturn]) -> NoReturn:
    """Do a worker's work; whatever goes wrong ends this process without running its parent's code."""
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - sent to the core, which shows it if no verdict was due yet
        try:
            write((json.dumps(f"{type(error).__name__}: {error}") + "\n").encode())
        finally:
            os._exit(FAULT)
