"""What a plan is for: the machine, its price, and where the lengths and speeds come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rrr_core.errors import RrrError
from rrr_core.planning.speeds import MEMORY, device_named

PROBE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The options of a plan, besides those of the run."""

    accelerator: str | None = None
    """A device that is not here, by its name."""
    gpu_memory: float | None = None
    """Of one device, in GB (10⁹ bytes)."""
    price: float | None = None
    """Of one device for an hour."""
    processes: int = 1
    past: Path | None = None
    """The folder of a past run."""
    probe: bool | None = None
    """Whether to play a few rows here; by default if the run is to be on this machine."""
    probe_seconds: float = PROBE_SECONDS

    def __post_init__(self) -> None:
        if self.accelerator is not None and device_named(self.accelerator, MEMORY) is None:
            raise RrrError(
                f"--accelerator {self.accelerator}: no data sheet is known for it: name one of {', '.join(MEMORY)}, or"
                " leave it out and give --gpu-memory."
            )
        if self.past is not None and not self.past.is_dir():
            raise RrrError(f"--from {self.past}: there is no such run folder.")

    @property
    def is_here(self) -> bool:
        """Whether the run is to be on this machine."""
        return self.accelerator is None

    @property
    def probes(self) -> bool:
        return self.probe if self.probe is not None else self.is_here and self.past is None
