"""The report: one self-contained page on one or more runs, for a reader who asks whether the gain is real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rrr_core.report.data import read_runs
from rrr_core.report.exported import as_csv, as_markdown
from rrr_core.report.page import page_of
from rrr_core.report.payload import Payload
from rrr_core.runs.files import write_text

__all__ = ["FORMATS", "write_report"]

FORMATS: dict[str, str] = {"html": ".html", "markdown": ".md", "csv": ".csv"}
"""What a report can be written as → the ending of its file."""


def write_report(
    runs: Sequence[Path], out: Path, say: Callable[[str], None] = lambda _: None, form: str = "html"
) -> None:
    """Write the report on `runs` (folders as `rrr run` leaves them) to `out`, atomically, in one of `FORMATS`.

    The page lists what is missing or broken in a run, and `say` gets a line for each damaged file.
    Raises RrrError for a folder that is not a run, and if `out` cannot be written.
    """
    payload = read_runs(runs, say)
    write_text(out, {"html": lambda: page_of(payload), **_tables(payload)}[form]())


def _tables(payload: Payload) -> dict[str, Callable[[], str]]:
    return {"markdown": lambda: as_markdown(payload.runs), "csv": lambda: as_csv(payload.runs)}
