"""What this machine has for rrr, what it lacks, and what each lack costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rrr_core.doctor.accelerator import accelerator
from rrr_core.doctor.finding import GROUPS, Finding
from rrr_core.doctor.machine import machine
from rrr_core.doctor.packages import packages
from rrr_core.doctor.plugins import engines, tasks
from rrr_core.doctor.sandbox import sandbox

__all__ = ["GROUPS", "Finding", "examine"]


def examine(folder: Path, *, quick: bool = False) -> Iterator[Finding]:
    """All findings, group by group; `folder` is where runs would be kept. `quick` leaves out what takes seconds.

    Nothing is changed, and no torch is imported here: its device is asked for in a process of its own.
    """
    yield from machine(folder)
    yield from packages()
    yield from accelerator(quick=quick)
    yield from engines()
    yield from tasks()
    yield from sandbox()
