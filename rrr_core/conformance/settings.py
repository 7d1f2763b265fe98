"""How much the checks look at, and how long they wait. docs/checks.md states these bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """The bounds of the checks. None of them makes a sound plugin fail."""

    rows: int = 200
    """Rows of each split that are posed and judged."""
    compared: int = 2_000
    """Rows of each split that are compared with the other split's."""
    compare_seconds: float = 3.0
    """Seconds after which no further row of a split is taken for that comparison."""
    first_row_seconds: float = 10.0
    """Seconds until a split's first row must be there."""
    first_row_megabytes: int = 512
    """Megabytes of memory that may be taken until a split's first row is there, imports included."""
    silence_seconds: float = 60.0
    """Seconds that one hook other than `rrr_verify` may take for all that is asked of it."""
    hostile_cpu_seconds: float = 2.0
    """CPU seconds for the verdict on a hostile answer, at most."""
    hostile_memory_mb: int = 512
    """Megabytes for the verdict on a hostile answer, at most."""
