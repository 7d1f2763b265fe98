"""The report: one self-contained page on one or more runs, for a reader who asks whether the gain is real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rrr_core.report.data import read_runs
from rrr_core.report.page import page_of
from rrr_core.runs.files import write_text

__all__ = ["write_report"]


def write_report(runs: Sequence[Path], out: Path, say: Callable[[str], None] = lambda _: None) -> None:
    """Write the page on `runs` (folders as `rrr run` leaves them) to `out`, atomically.

    The page lists what is missing or broken in a run, and `say` gets a line for each damaged file.
    Raises RrrError for a folder that is not a run, and if `out` cannot be written.
    """
    write_text(out, page_of(read_runs(runs, say)))
