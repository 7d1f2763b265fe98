"""A program without rights: started, fed, watched and ended from the core's own process.

`confined_child` gives the rights up before it becomes the program; what is asked for in JSON is its one argument.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rrr_core.text import one_line
from rrr_core.verification import sandbox, seccomp
from rrr_core.verification.cleaning import remove
from rrr_core.verification.workers import scrubbed

CLOCK = 2.0
"""Seconds by the clock for each second of CPU time that a program may take."""
START = 10.0
"""Seconds by the clock besides, for the start on a busy machine."""


class TooMuch(Exception):
    """The program took too long, or wrote too much; the text says what."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program came to."""

    status: int
    """Its exit status; negative, the signal that ended it."""
    output: bytes
    """What it wrote on both streams."""


def run(
    command: Sequence[str], text: str, seconds: float, memory_mb: int, readable: tuple[str, ...], longest: int
) -> Finished:
    """What a program came to on a text. Raises TooMuch, and RuntimeError if it cannot be confined or started."""
    if why := missing():
        raise RuntimeError(f"{command[0]} cannot be confined: {why}")
    folder = Path(tempfile.mkdtemp(prefix="rrr-confined-"))
    try:
        return _run(folder, command, text, seconds, memory_mb, readable, longest)
    finally:
        remove(folder)


def missing() -> str:
    """What this system lacks to confine a program; empty if nothing."""
    if sys.platform != "linux":
        return "that needs Linux"
    if sandbox.landlock_version() < sandbox.TRUNCATE_ABI:
        return "that needs Landlock of Linux 6.2 or later, and the package landlock"
    return seccomp.missing() or ""


def _run(
    folder: Path,
    command: Sequence[str],
    text: str,
    seconds: float,
    memory_mb: int,
    readable: tuple[str, ...],
    longest: int,
) -> Finished:
    request = {
        "command": list(command),
        "scratch": str(folder),
        "readable": [*sandbox.readable_paths(), *readable],
        "memory_mb": memory_mb,
        "cpu_seconds": seconds,
    }
    faults, fault_end = os.pipe()
    with tempfile.TemporaryFile() as given:
        given.write(text.encode(errors="replace"))
        given.seek(0)
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rrr_core.verification.confined_child", json.dumps(request)],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**scrubbed(os.environ, folder), "RRR_FAULTS": str(fault_end)},
                pass_fds=(fault_end,),
                start_new_session=True,
            )
        finally:
            os.close(fault_end)
    assert process.stdout is not None
    try:
        output = _output(process.stdout.fileno(), time.monotonic() + CLOCK * seconds + START, longest)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        with os.fdopen(faults, "rb") as said:
            fault = said.read()
        status = process.wait()
        process.stdout.close()
    if fault:
        raise RuntimeError(f"{command[0]} cannot be started: {one_line(fault.decode(errors='replace'))}")
    if output is None:
        raise TooMuch(f"no end within {CLOCK * seconds + START:g} seconds")
    if len(output) > longest:
        raise TooMuch(f"more than {longest:,} bytes of output")
    if status in (-signal.SIGXCPU, -signal.SIGPROF):
        raise TooMuch(f"more than {seconds:g} CPU seconds")
    return Finished(status, output)


def _output(source: int, deadline: float, longest: int) -> bytes | None:
    """What comes to its end before the deadline, or one byte more than the longest; None if it does not end."""
    data = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        while len(data) <= longest:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            part = os.read(source, 1 << 16)
            if not part:
                return bytes(data)
            data += part
    return bytes(data[: longest + 1])
