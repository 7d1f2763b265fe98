"""Progress: what a long job shows the person waiting for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Reports `count` more units done; `note` is a few words on how it goes, such as `37 failures`."""

    def __call__(self, count: int, note: str = "") -> None: ...


class Progress:
    """Progress that shows nothing. The command line passes one that draws a bar with rate and time left."""

    noticed: frozenset[str] = frozenset()
    """The notices that were said."""

    @contextmanager
    def track(self, title: str, total: int, done: int = 0) -> Iterator[Advance]:
        """A bar named `title` over `total` units, `done` of them finished by an earlier call."""

        def advance(count: int, note: str = "") -> None:
            pass

        yield advance

    def say(self, line: str) -> None:
        """One line for the person, above the bar."""

    def notice(self, line: str) -> None:
        """A line that stages may each have reason to say, such as what a model cannot do: it is said once."""
        if line not in self.noticed:
            self.noticed |= {line}
            self.say(line)


class Drawing(Protocol):
    """Something that keeps redrawing itself on the terminal."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


_DRAWN: list[Drawing] = []
"""What is on the terminal now."""


@contextmanager
def drawn(drawing: Drawing) -> Iterator[None]:
    """Draw on the terminal, except while it is paused."""
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
