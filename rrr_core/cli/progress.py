"""Progress on a terminal: a bar with rate and time left; plain lines without a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from rrr_core.processes.world import world_of
from rrr_core.progress import Advance, Progress
from rrr_core.text import duration, one_line, rate

if TYPE_CHECKING:
    from rich.console import Console

MAKE_A_TERMINAL = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""Environment variables with which rich takes a file for a terminal."""


def make_progress(console: Console | None = None) -> Progress:
    """Bars if stderr is a terminal, otherwise plain lines; of several processes, only the first shows any."""
    if not world_of(os.environ).leads:
        return Progress()
    if console is None and not sys.stderr.isatty() and not any(map(os.environ.get, MAKE_A_TERMINAL)):
        return PlainProgress(partial(click.echo, err=True))  # rich takes a tenth of a second to import
    from rich.console import Console

    from rrr_core.cli.bars import RichProgress

    shown = console or Console(stderr=True)
    return RichProgress(shown) if shown.is_terminal else PlainProgress(lambda line: shown.out(line, highlight=False))


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
