"""How verifiers run: where, and with what limits."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rrr_core.config.option import option
from rrr_core.config.settings import Settings

FRESH = "fresh"
ISOLATION = ("auto", "process", FRESH, "none")


@dataclass(frozen=True)
class VerifySettings(Settings):
    """How verifiers run. None of it affects the verdicts of a sound verifier."""

    isolation: str = option(
        "auto",
        "Where verifiers run: in sandboxed processes, in a new one for each verdict (fresh), in the core's own (none),"
        " or there if trusted (auto).",
        choices=ISOLATION,
    )
    seconds: float = option(10.0, "Wall-clock seconds per verdict.", minimum=0.01)
    cpu_seconds: float = option(5.0, "CPU seconds per verdict.", minimum=0.01)
    memory_mb: int = option(1024, "Megabytes a verifier may use on top of what its import used.", minimum=16)
    workers: int = option(0, "Number of judging processes; 0 means one per core, at most 4.", minimum=0, maximum=256)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
