"""The settings of a job on several machines."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from rrr_core.config.option import option
from rrr_core.config.settings import Settings
from rrr_core.errors import RrrError

UNWRITABLE = frozenset({"Cc", "Cs", "Cn", "Zl", "Zp"})
"""Unicode categories that a line of a script cannot hold: they end it, or are no text."""


@dataclass(frozen=True)
class LaunchSettings(Settings):
    """The machines of a job, and what each of them does."""

    nodes: int = option(1, "Machines.", minimum=1)
    processes_per_node: int | None = option(
        None,
        "Processes on each machine, each with an engine of its own; by default one for each GPU, or one.",
        minimum=1,
    )
    gpus: str | None = option(
        None, "GPUs of each machine: a number, or KIND:NUMBER such as H100:8, which SkyPilot needs. Without, CPUs work."
    )
    cpus: int | None = option(
        None,
        "CPU cores of each machine, which its processes share; by default what the place gives, and a process one.",
        minimum=1,
    )
    restarts: int | None = option(
        None,
        "Times that torchrun starts all processes again, to resume, when one has ended; by default 3.",
        minimum=0,
    )
    setup: tuple[str, ...] = option(
        (), "A shell line that runs first, such as '. /shared/venv/bin/activate'. May be repeated.", or_one=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gpus is not None and not re.fullmatch(r"([A-Za-z][\w.-]*:)?[1-9][0-9]*", self.gpus):
            raise RrrError(f"--gpus {self.gpus!r}: write a number, or KIND:NUMBER such as H100:8.")
        for line in self.setup:
            check_writable("--setup", line)

    @property
    def gpu_count(self) -> int:
        """GPUs of each machine."""
        return int(self.gpus.rpartition(":")[2]) if self.gpus else 0

    @property
    def processes(self) -> int:
        """Processes on each machine."""
        return self.processes_per_node or self.gpu_count or 1


def check_writable(what: str, text: str) -> None:
    """Raise RrrError for a text that no line of a script can hold, such as one with a line break."""
    for mark in text:
        if unicodedata.category(mark) in UNWRITABLE:
            raise RrrError(
                f"{what}: {text!r} has the character {mark!r}, which a script's line cannot hold: leave it out."
            )
