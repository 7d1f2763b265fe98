"""A page that follows runs while they go on: written again whenever a file of theirs changes, until all have ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rrr_core.errors import DataError
from rrr_core.report.data import read_runs
from rrr_core.report.page import page_of
from rrr_core.runs.files import read_json, write_text
from rrr_core.runs.layout import RunFolder

ENDED = ("failed", "interrupted")


def watch(
    runs: Sequence[Path],
    out: Path,
    every: float,
    say: Callable[[str], None],
    wait: Callable[[float], None] = time.sleep,
    written: Callable[[], None] = lambda: None,
) -> None:
    """Write the page on `runs` to `out` again and again, each time whole, until every run is finished or has stopped.

    The page loads itself again every `every` seconds; the last one does not. `written` is called after each. Raises
    RrrError for a folder that is not a run.
    """
    seen: object = None
    try:
        while not all(map(has_ended, runs)):
            if (now := list(_marks(runs, out))) != seen:
                write_text(out, page_of(read_runs(runs, live=every)))
                seen = now
                written()
            wait(every)
    except KeyboardInterrupt:
        say("stopped watching: the page is as the runs are now")
    write_text(out, page_of(read_runs(runs, say)))
    written()


def has_ended(run: Path) -> bool:
    """Whether a run has written its own report, the last of its stages, or has stopped before.

    A folder without a run's record, such as one of single stages, never ends by itself.
    """
    record = RunFolder(run).record
    try:
        stages = read_json(record)["stages"] if record.exists() else {}
        states = {name: stage["state"] for name, stage in stages.items()}
    except (DataError, KeyError, TypeError, AttributeError):
        return False
    return states.get("report") == "finished" or any(state in ENDED for state in states.values())


def _marks(runs: Sequence[Path], out: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of every file that a page may be about."""
    for run in runs:
        for path in sorted(Path(run).rglob("*.json*")):
            if "checkpoint-" in path.as_posix() or path == out:
                continue
            try:
                found = path.stat()
            except OSError:  # it was renamed or deleted meanwhile
                continue
            yield str(path), found.st_size, found.st_mtime_ns
