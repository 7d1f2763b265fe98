"""What the machine itself offers: Python, processor, memory, disk and locks."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rrr_core.doctor.finding import Finding
from rrr_core.processes.memory import machine_bytes
from rrr_core.verification.settings import cores

LITTLE_SPACE = 5e9
"""Bytes of free disk below which no checkpoint of a model of a billion weights, with optimiser state, fits."""


def machine(folder: Path) -> Iterator[Finding]:
    """Python, processor and memory, and what the disk under `folder` offers."""
    python = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} "
    yield Finding("machine", "Python", "ok", f"{python}{platform.release()} {platform.machine()}")
    yield Finding("machine", "processor", "ok", _processor())
    yield _space(folder)
    yield from _files(folder)


def _processor() -> str:
    count = cores()
    memory = machine_bytes()
    known = f", {memory / 1e9:.1f} GB of memory" if memory else ""
    return f"{count} core{'s' if count > 1 else ''}{known}"


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free here"
    if free >= LITTLE_SPACE:
        return Finding("machine", "disk", "ok", detail)
    cost = "checkpoints of larger models will not fit: make room, or keep runs elsewhere with --folder"
    return Finding("machine", "disk", "missing", detail, cost)


def _files(folder: Path) -> Iterator[Finding]:
    """Whether a run can be written in `folder`, and locked by one process at a time."""
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - errors of what follows are not its errors
    except OSError as error:
        cost = "runs cannot be kept here: change folder, or give --folder"
        yield Finding("machine", "files", "missing", f"this folder cannot be written: {error.strerror}", cost)
        return
    with file:
        cost = "two processes on one run folder would not notice each other: run one at a time"
        if _locks(file.fileno()):
            yield Finding("machine", "file locks", "ok", "a run folder has one writer at a time")
        else:
            yield Finding("machine", "file locks", "missing", "no locks on this file system", cost)


def _locks(descriptor: int) -> bool:
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True
