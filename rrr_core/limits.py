"""Limits within a verdict: an answer that takes too long has failed, where a verifier that does is at fault.

    try:
        with time_limit(0.5):
            found = re.fullmatch(answer, row["text"])
    except LimitReached as reached:
        return reached.verdict

They are for verifiers that execute what a model wrote in a language of its own: a regular expression, SQL, steps of a
small machine, a program. What no limit of this module reaches, the core's own limits end, and that is an abstention.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from rrr_core.verdicts import Verdict, failed

if TYPE_CHECKING:
    import sqlite3

    from rrr_core.verification.confined import Finished

__all__ = ["TIME_LIMIT", "LimitReached", "Steps", "query_limit", "run_confined", "time_limit"]

TIME_LIMIT = "time limit"
"""The error class of an answer that takes too long, in time or in steps."""
AGAIN = 0.05
"""CPU seconds after which a limit raises again, where something has swallowed the exception."""
BETWEEN_LOOKS = 20
"""Instructions of SQLite's machine between two looks at the limit."""


class LimitReached(BaseException):
    """An answer took too long. Not an Exception, so that no `except Exception` on the way takes it for another."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def verdict(self) -> Verdict:
        """The verdict on the answer: failed, with the class `time limit`."""
        return failed(TIME_LIMIT, self.detail)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise LimitReached in the block once it has used so many CPU seconds.

    Python, `re` and arithmetic on large integers are interrupted; other loops within C are not, such as
    `sum(range(10**10))`, nor is waiting. Raises RuntimeError where no signal can interrupt: in any thread but a
    process's main one, and on Windows. A worker judges in its main thread. Limits may be nested: the outer holds, too.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "time_limit needs the main thread of a process, on Linux or macOS: leave the verifier untrusted, so that "
            "it runs in a worker, or count its steps with Steps"
        )
    reached = LimitReached(f"more than {seconds:g} CPU seconds")
    fired = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal fired
        fired = True
        raise reached

    handler = signal.signal(signal.SIGVTALRM, interrupt)
    left, again = signal.setitimer(signal.ITIMER_VIRTUAL, max(seconds, 1e-6), AGAIN)
    began = time.process_time()
    try:
        yield
    finally:
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        finally:
            signal.signal(signal.SIGVTALRM, handler)
            if left:
                signal.setitimer(signal.ITIMER_VIRTUAL, max(left - (time.process_time() - began), 1e-6), again)
    if fired:  # Something in the block has swallowed it.
        raise reached


class Steps:
    """Counts the steps of something that an answer decides, such as a small machine, up to a limit.

    The same number on every machine; `seconds` of this thread's CPU time bound steps that are slow. For any thread.
    """

    def __init__(self, most: int, seconds: float = math.inf) -> None:
        self.most, self.seconds = most, seconds
        self.taken = 0
        self._end = time.thread_time() + seconds

    def take(self, count: int = 1) -> None:
        """Count steps. Raises LimitReached beyond the limit."""
        self.taken += count
        if self.is_over:
            raise LimitReached(self.detail)

    @property
    def is_over(self) -> bool:
        return self.taken > self.most or time.thread_time() > self._end

    @property
    def detail(self) -> str:
        """The limit that was reached, in words."""
        if self.taken > self.most:
            return f"more than {self.most:,} steps"
        return f"more than {self.seconds:g} CPU seconds"


@contextmanager
def query_limit(connection: sqlite3.Connection, steps: int, seconds: float = math.inf) -> Iterator[None]:
    """Raise LimitReached once the queries of the block have taken so many instructions of SQLite's machine.

    Few instructions can be slow ones, such as `replace` in a long text: `seconds` of CPU time bound them, and
    `connection.setlimit` the texts. Any other progress handler of the connection is removed.
    """
    import sqlite3

    taken = Steps(steps, seconds)

    def look() -> bool:
        taken.taken += BETWEEN_LOOKS
        return taken.is_over

    connection.set_progress_handler(look, BETWEEN_LOOKS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT and taken.is_over:
            raise LimitReached(taken.detail) from error
        raise
    finally:
        connection.set_progress_handler(None, 0)


def run_confined(
    command: Sequence[str],
    text: str = "",
    *,
    seconds: float = 5.0,
    memory_mb: int = 256,
    readable: Sequence[str] = (),
    longest: int = 1 << 20,
) -> Finished:
    """Run a program without rights on a text, its standard input: for `rrr_judge`, since a worker starts no program.

    The program and what it starts have no network, no variables of this environment, no signals to others, and one
    empty folder to write to; they read the system's libraries, this Python's and `readable`. Gives its `status`,
    negative for a signal, and its `output` on both streams. Raises LimitReached beyond `seconds` of CPU time, beyond
    twice as many and ten by the clock, and beyond `longest` bytes of output; RuntimeError where the system cannot
    confine it. A program out of memory fails in its own way.
    """
    # Imported here: a verifier in a worker has no need of it.
    from rrr_core.verification.confined import TooMuch, run

    try:
        return run(command, text, seconds, memory_mb, tuple(readable), longest)
    except TooMuch as error:
        raise LimitReached(str(error)) from None
