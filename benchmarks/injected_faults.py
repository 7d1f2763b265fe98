"""An overlay whose verifier fails on some answers, in every possible way, by a keyed hash of row and answer.

`install` writes it as the distribution `rrr-injected-faults` with the overlay `faults`, so a verifier's own
process can import it too. `fault_of` says in advance which answers it will fail on, and how. It is not trusted.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import inspect
import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from rrr_core.hookspecs import Row, hookimpl
from rrr_core.verdicts import Verdict, passed

DISTRIBUTION = "rrr-injected-faults"
OVERLAY = "faults"
MODULE = "rrr_injected_faults"
DESCRIPTORS = range(64)
"""Every file descriptor that a verifier's process may have."""


@dataclass(frozen=True)
class Plan:
    """Which answers meet a fault: the share of distinct ones (0 to 1), and the key that decides which and how."""

    share: float = 0.0
    salt: str = ""


@dataclass(frozen=True)
class Fault:
    """One way to fail, and the kind of abstention that must result."""

    kind: str
    commit: Callable[[], Any]
    """Fails; if it returns at all, its value is the verifier's verdict."""


def divide() -> NoReturn:
    raise ZeroDivisionError("injected")


def interrupt() -> NoReturn:
    raise KeyboardInterrupt("injected")


def recurse() -> Any:
    return recurse()


def leave() -> NoReturn:
    sys.exit("injected")


def end() -> NoReturn:
    os._exit(0)


def hang_up() -> Verdict:
    """Close every channel by which the process could send its verdict."""
    os.closerange(DESCRIPTORS.start, DESCRIPTORS.stop)
    return passed()


def read_null() -> Verdict:
    ctypes.string_at(0)
    return passed()


def kill_itself() -> Verdict:
    os.kill(os.getpid(), signal.SIGKILL)
    return passed()


def sleep() -> NoReturn:
    """Hang without using the processor, ignoring every signal that can be ignored, with all timers stopped."""
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):  # Some signals belong to the C library.
            signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)


def compute() -> Verdict:
    """Hang inside C code, where no Python signal handler runs."""
    pow(9, 9**9)
    return passed()


def hoard() -> NoReturn:
    """Allocate memory without end. It is never touched, so the memory limit is hit before the clock."""
    taken = []
    while True:
        taken.append(bytes(16 << 20))


def send_everywhere(message: bytes) -> Verdict:
    """Write to all file descriptors, then return a verdict as if nothing were wrong."""
    for descriptor in DESCRIPTORS:
        with suppress(OSError):
            os.write(descriptor, message)
    return passed()


class RunsWhenUnpickled:
    """An object that would end the core if it ever unpickled what a verifier's process sends."""

    def __reduce__(self) -> tuple[Callable[[int], NoReturn], tuple[int]]:
        return os._exit, (99,)


FAULTS: Mapping[str, Fault] = {
    "raises": Fault("exception", divide),
    "interrupts": Fault("exception", interrupt),
    "recurses without end": Fault("exception", recurse),
    "raises SystemExit": Fault("exit", leave),
    "ends its process": Fault("exit", end),
    "closes its channel": Fault("exit", hang_up),
    "segmentation fault": Fault("crash", read_null),
    "kills itself": Fault("crash", kill_itself),
    "sleeps": Fault("timeout", sleep),
    "computes in C": Fault("timeout", compute),
    "takes all memory": Fault("memory", hoard),
    "gives nothing": Fault("bad verdict", lambda: None),
    "gives a number": Fault("bad verdict", lambda: 1.0),
    "forges a verdict": Fault("bad verdict", lambda: send_everywhere(b'[0,"passed"]\n')),
    "sends a pickle": Fault("bad verdict", lambda: send_everywhere(pickle.dumps(RunsWhenUnpickled()) + b"\n")),
}
"""Name → what it does. A fault that returns a verdict returns `passed`: if it got through, it would be a reward."""


def fault_of(plan: Plan, row: Row, answer: str) -> str | None:
    """The name of the fault that an answer triggers, or None: a pure function of its arguments."""
    asked = json.dumps([row, answer], sort_keys=True).encode()
    drawn = hashlib.blake2b(asked, key=plan.salt.encode(), digest_size=16).digest()
    if int.from_bytes(drawn[:8], "big") >= plan.share * 2**64:
        return None
    return [*FAULTS][int.from_bytes(drawn[8:], "big") % len(FAULTS)]


@hookimpl(wrapper=True)
def rrr_verify(row: Row, answer: str) -> Generator[None, Any, Any]:
    verdict = yield
    name = fault_of(PLAN, row, answer)
    return verdict if name is None else FAULTS[name].commit()


def install(site: Path, plan: Plan) -> None:
    """Install the overlay in the folder `site` as pip would, with `plan` as its plan."""
    information = site / f"{MODULE}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[rrr.overlays]\n{OVERLAY} = {MODULE}\n")
    source = inspect.getsource(sys.modules[__name__])
    (site / f"{MODULE}.py").write_text(f"{source}\n\nPLAN = {plan!r}\n", encoding="utf-8")
    importlib.invalidate_caches()


PLAN = Plan()
