"""Progress on a terminal: a bar with rate and time left; plain lines without a terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from rrr_core.processes.world import world_of
from rrr_core.progress import Advance, Progress, drawn
from rrr_core.text import duration, one_line


def make_progress(console: Console | None = None) -> Progress:
    """Bars if stderr is a terminal, otherwise plain lines; of several processes, only the first shows any."""
    if not world_of(os.environ).leads:
        return Progress()
    console = console or Console(stderr=True)
    return (
        RichProgress(console) if console.is_terminal else PlainProgress(lambda line: console.out(line, highlight=False))
    )


def rate(per_second: float) -> str:
    """Units per second, or seconds per unit if the rate is below 1.

    >>> rate(12.34), rate(0.25)
    ('12.3/s', '4.0 s each')
    """
    if per_second <= 0:
        return ""
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{1 / per_second:.1f} s each"


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


class PlainProgress(Progress):
    """Prints a line at the start and end of each `track`, and at most one every `every` seconds in between."""

    def __init__(
        self, write: Callable[[str], None], every: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.write = write
        self.every = every
        self.clock = clock

    @contextmanager
    def track(self, title: str, total: int, done: int = 0) -> Iterator[Advance]:
        start = last = self.clock()
        finished, noted, shown = done, "", -1

        def show() -> None:
            nonlocal shown
            shown = finished
            taken = self.clock() - start
            speed = (finished - done) / taken if taken > 0 else 0
            parts = [f"{title}: {finished}/{total}", rate(speed)]
            if speed > 0 and finished < total:
                parts.append(f"{duration((total - finished) / speed)} left")
            self.say(", ".join(part for part in (*parts, noted) if part))

        def advance(count: int, note: str = "") -> None:
            nonlocal finished, noted, last
            finished += count
            noted = note or noted
            if self.clock() - last >= self.every:
                last = self.clock()
                show()

        show()
        yield advance
        if shown != finished:
            show()

    def say(self, line: str) -> None:
        self.write(one_line(line))
