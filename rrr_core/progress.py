"""Progress: what a long job tells the person who waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Tells that `count` more units are done; `note` is a few words on how it goes, such as `37 failures`."""

    def __call__(self, count: int, note: str = "") -> None: ...


class Progress:
    """Shows nothing. The command line passes one that draws a bar with rate and time left."""

    @contextmanager
    def track(self, title: str, total: int, done: int = 0) -> Iterator[Advance]:
        """A bar named `title` over `total` units, `done` of them finished by an earlier call."""

        def advance(count: int, note: str = "") -> None:
            pass

        yield advance

    def say(self, line: str) -> None:
        """One line for the person, above the bar."""


class Drawing(Protocol):
    """What draws on the terminal by itself, again and again."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


_DRAWN: list[Drawing] = []
"""What is on the terminal now."""


@contextmanager
def drawn(drawing: Drawing) -> Iterator[None]:
    """Draw on the terminal, save where somebody has paused it."""
    drawing.start()
    _DRAWN.append(drawing)
    try:
        yield
    finally:
        _DRAWN.remove(drawing)
        drawing.stop()


@contextmanager
def pause_progress() -> Iterator[None]:
    """Keep progress bars off the terminal while a person is asked something there."""
    paused = list(_DRAWN)
    for drawing in paused:
        drawing.stop()
    try:
        yield
    finally:
        for drawing in paused:
            drawing.start()
