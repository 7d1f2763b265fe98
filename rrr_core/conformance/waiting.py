"""The time that processes wait for a processor, which a busy machine takes and no plugin: bounds do not count it."""

from __future__ import annotations

import os
from pathlib import Path

NANOSECONDS = 1e9
PROCESSES = Path("/proc")


class Waited:
    """Counts how long the processes of a session have waited for a processor, by Linux's own account."""

    def __init__(self, session: int) -> None:
        """`session` is the id of the process that began it."""
        self.session = session
        self._waited: dict[int, float] = {}
        """Process → seconds; those that have ended keep theirs."""

    def seconds(self) -> float:
        """The sum over all processes seen so far; 0 where the system does not say."""
        for process in _processes():
            if _session(process) == self.session:
                self._waited[process] = _waited(process)
        return sum(self._waited.values())


def _processes() -> list[int]:
    try:
        return [int(each.name) for each in PROCESSES.iterdir() if each.name.isdecimal()]
    except OSError:
        return []


def _session(process: int) -> int | None:
    try:
        return os.getsid(process)
    except OSError:
        return None


def _waited(process: int) -> float:
    """Its first thread's time in the queue: the second number of `schedstat`."""
    try:
        return int((PROCESSES / str(process) / "schedstat").read_text(encoding="ascii").split()[1]) / NANOSECONDS
    except (OSError, ValueError, IndexError):
        return 0.0
