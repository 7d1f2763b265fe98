"""How much the checks look at, and how long they wait. docs/checks.md states these bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """The bounds of the checks. None of them makes a sound plugin fail."""

    rows: int = 200
    """Rows of each split that are prompted and judged."""
    compared: int = 2_000
    """Rows of each split that are compared with the other split's."""
    compare_seconds: float = 3.0
    """Seconds after which no more rows of a split are taken for that comparison."""
    first_row_seconds: float = 10.0
    """Seconds that a split's first row may take."""
    first_row_megabytes: int = 512
    """Megabytes of memory that a split's first row may take, imports included."""
    silence_seconds: float = 60.0
    """Seconds that one hook other than `rrr_verify` may take for all its calls."""
    check_seconds: float = 600.0
    """Seconds that one check may ask for verdicts or steps; after them it cannot be judged."""
    hostile_cpu_seconds: float = 2.0
    """CPU seconds that the verdict on a hostile answer may take."""
    hostile_memory_mb: int = 512
    """Megabytes that the verdict on a hostile answer may take."""
    model_rows: int = 64
    """Rows of `train` that a model tries, to see whether it can learn."""
