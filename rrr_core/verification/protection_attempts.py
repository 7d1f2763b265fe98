"""What a probe tries from inside a sandboxed worker, to see what is really in force. It judges nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rrr_core.verification import worker
from rrr_core.verification.messages import ALLOWED


def run(channel: int, post: worker.Post, probe: Mapping[str, Any]) -> NoReturn:
    """Be a worker that tries each attempt, reports the outcomes in one line, and then runs forever."""
    worker.keep_only(channel)
    worker.enter(post)
    attempts: dict[str, Callable[[], object]] = {
        "network": lambda: _connect(probe["port"]),
        "programs": lambda: _start_program(probe["program"]),
        "processes": _start_process,
        "files": lambda: Path(probe["canary"]).write_text("written by a verifier", encoding="ascii"),
        "private files": lambda: Path(probe["private"]).read_text(encoding="ascii"),
        "secrets": lambda: _read_secrets(probe["core"], probe["variables"]),
        "signals": lambda: os.kill(probe["core"], 0),
        "memory": lambda: bytearray((post.memory_mb + 64) << 20),
    }
    outcomes = {name: outcome(attempt) for name, attempt in attempts.items()}
    worker.write((json.dumps(outcomes) + "\n").encode())
    signal.setitimer(signal.ITIMER_PROF, post.cpu_seconds)
    while True:
        pass


def outcome(attempt: Callable[[], object]) -> str:
    """`allowed`, or what stopped it: the system's own words."""
    try:
        attempt()
    except OSError as error:
        return error.strerror or type(error).__name__
    except MemoryError:
        return "MemoryError"
    return ALLOWED


def _connect(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


def _start_program(program: str) -> None:
    """Become another program, which ends this process, so it is tried in a fork if possible."""
    try:
        child = os.fork()
    except OSError:
        os.execv(program, [program, "-c", "pass"])  # noqa: S606
    if not child:
        try:
            os.execv(program, [program, "-c", "pass"])  # noqa: S606
        except OSError as error:
            os._exit(error.errno or 1)
    _, status = os.waitpid(child, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise OSError(code, os.strerror(code))


def _start_process() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def _read_secrets(core: int, known: Sequence[str]) -> None:
    """Look for variables that are not meant for a worker, and where Linux exposes those of the core."""
    if set(os.environ) - set(known):
        return
    try:
        Path(f"/proc/{core}/environ").read_bytes()
    except OSError as error:
        raise OSError(error.errno, f"not in the environment; /proc: {error.strerror}") from None
