"""Settings of a probe."""

from __future__ import annotations

from dataclasses import dataclass

from rrr_core.config.option import option
from rrr_core.config.settings import Settings

TRIES = 8
"""Tries of each row: k of pass@k."""
OF_REFLECTIONS = ("group_size", "batch_size", "max_reflection_tokens", "max_retry_tokens")
"""Settings of what follows a first try."""
_AS = "; by default as the task's demo or, without one, as `rrr train` has it"


@dataclass(frozen=True)
class ProbeSettings(Settings):
    """How much is sampled, and how."""

    rows: int = option(64, "Rows of the train split to try.", minimum=2)
    minutes: float = option(
        10,
        "Minutes for each task: rows that would take longer are left out, but for the first four.",
        minimum=0,
        maximum=100_000,
    )
    tries: int = option(TRIES, "Tries of each row: k of pass@k.", minimum=2)
    group_size: int | None = option(None, f"Reflections on each failure{_AS}.", minimum=2)
    batch_size: int | None = option(None, f"Reflections in a step of training{_AS}.", minimum=2)
    temperature: float | None = option(None, f"Sampling temperature of all texts{_AS}.", minimum=0.01)
    max_tokens: int | None = option(None, f"Longest first try, in tokens{_AS}.", minimum=1)
    max_reflection_tokens: int | None = option(None, f"Longest reflection, in tokens{_AS}.", minimum=1)
    max_retry_tokens: int | None = option(None, f"Longest retry, in tokens{_AS}.", minimum=1)
