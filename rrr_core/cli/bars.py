"""Progress bars on a terminal, drawn by rich."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from rrr_core.progress import Advance, Progress, drawn
from rrr_core.text import one_line, rate


class RateColumn(ProgressColumn):
    """Units per second."""

    def render(self, task: Task) -> Text:
        return Text(rate(task.finished_speed or task.speed or 0), style="progress.data.speed")


class RichProgress(Progress):
    """One bar for each open `track`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars: Bars | None = None

    @contextmanager
    def track(self, title: str, total: int, done: int = 0) -> Iterator[Advance]:
        with self._shown() as bars:
            bar = bars.add_task(one_line(title), total=total, completed=done, note="")

            def advance(count: int, note: str = "") -> None:
                bars.update(bar, advance=count)
                if note:
                    bars.update(bar, note=one_line(note))

            try:
                yield advance
            finally:
                bars.stop_task(bar)

    @contextmanager
    def _shown(self) -> Iterator[Bars]:
        """The bars, which the outermost `track` puts on the terminal and removes."""
        if self._bars is not None:
            yield self._bars
            return
        self._bars = self._make_bars()
        try:
            with drawn(self._bars):
                yield self._bars
        finally:
            self._bars = None

    def say(self, line: str) -> None:
        self.console.print(one_line(line), markup=False, highlight=False)

    def _make_bars(self) -> Bars:
        return Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
            expand=True,
        )
