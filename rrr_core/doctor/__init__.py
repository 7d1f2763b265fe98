"""What this machine has for rrr, what it lacks, and what each gap costs; the same for a model's chat template."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rrr_core.doctor.accelerator import accelerator
from rrr_core.doctor.finding import GROUPS, Finding
from rrr_core.doctor.machine import machine
from rrr_core.doctor.model import model as examine_model
from rrr_core.doctor.packages import packages
from rrr_core.doctor.plugins import engines, tasks
from rrr_core.doctor.sandbox import sandbox

__all__ = ["GROUPS", "Finding", "examine", "examine_model"]


def examine(folder: Path, *, quick: bool = False) -> Iterator[Finding]:
    """All findings, group by group; `folder` is where runs would be kept. `quick` skips what takes seconds.

    Changes nothing and imports no torch: a separate process reports torch's device.
    """
    yield from machine(folder)
    yield from packages()
    yield from accelerator(quick=quick)
    yield from engines()
    yield from tasks()
    yield from sandbox()
