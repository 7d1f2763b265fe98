"""The desk: where a person judges a job's answers; one for each set of options while the process lives.

A job may load its task several times, as `rrr rejudge` does for each stage; it still has one file, one lock and one
page.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from rrr_core import Row, Verdict
from rrr_person_judge.options import PersonOptions
from rrr_person_judge.record import VerdictFile, item_of
from rrr_person_judge.sitting import Sitting


class Face(Protocol):
    """The user interface: the terminal or the page."""

    def ask(self, sitting: Sitting) -> None:
        """Give every item of a sitting a verdict. Raises Stopped, RrrError and KeyboardInterrupt."""

    def close(self) -> None: ...


class Desk:
    """Judges by asking a person. Verdicts already in the file are not asked for again."""

    def __init__(self, settings: PersonOptions, task: str) -> None:
        """Raises RrrError if the file cannot be used, or there is no terminal, or no such port."""
        self.task = task
        self.file = VerdictFile(Path(settings.file), task, settings.name or "")
        self._settings = settings
        self._face: Face | None = None

    def judge(self, pairs: Sequence[tuple[Row, str]]) -> list[Verdict]:
        """The person's verdicts, in order. Raises Stopped if the person leaves, and RrrError."""
        items = [item_of(self.task, row, answer) for row, answer in pairs]
        different = tuple({item.key: item for item in items}.values())
        if any(item.key not in self.file.verdicts for item in different):
            self._asked().ask(Sitting(different, self.file))
        return [self.file.verdicts[item.key] for item in items]

    def close(self) -> None:
        """Shut the page down and release the file."""
        if self._face is not None:
            self._face.close()
        self.file.close()

    def _asked(self) -> Face:
        """The user interface, created on first use: a call that finds all verdicts in the file needs none."""
        if self._face is None:
            port = self._settings.port
            if port is None:
                from rrr_person_judge.terminal import TerminalFace

                self._face = TerminalFace(self.task)
            else:
                from rrr_person_judge.page import PageFace

                self._face = PageFace(self.task, port, opens=self._settings.open)
        return self._face


@cache
def desk_of(settings: PersonOptions, task: str) -> Desk:
    """The one desk of this process for these options and this task."""
    return Desk(settings, task)
