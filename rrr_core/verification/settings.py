"""How verifiers are run: where, and with what limits."""

from __future__ import annotations

from dataclasses import dataclass

from rrr_core.config.option import option

ISOLATION = ("auto", "process", "none")


@dataclass(frozen=True)
class VerifySettings:
    """How verifiers are run. None of it decides a verdict that a sound verifier gives."""

    isolation: str = option(
        "auto",
        "Where verifiers run: in sandboxed processes, in the core's own (none), or there if trusted (auto).",
        choices=ISOLATION,
    )
    seconds: float = option(10.0, "Wall-clock seconds that a verdict may take.", minimum=0.01)
    cpu_seconds: float = option(5.0, "CPU seconds that a verdict may take.", minimum=0.01)
    memory_mb: int = option(1024, "Megabytes that a verifier may take beyond what its import took.", minimum=16)
    workers: int = option(0, "Processes that judge at once; 0 is one for each core, at most 4.", minimum=0, maximum=256)
