"""A person judges in the terminal, one key per verdict.

It uses the controlling terminal directly, since standard output carries data and standard input may carry answers.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from rrr_core.errors import RrrError
from rrr_core.overlays import one_line, pause_progress, plain
from rrr_person_judge.record import verdict_of
from rrr_person_judge.sitting import Sitting
from rrr_person_judge.words import question_of, row_text, summary

DEVICE = "/dev/tty"
KEYS = "p passes   f fails   ? not sure   a all of it   r the row   u undo   q stop for now"
ESCAPE, END_OF_FILE = "\x1b", "\x04"


@dataclass(frozen=True)
class TerminalFace:
    """Asks in the terminal."""

    task: str

    def ask(self, sitting: Sitting) -> None:
        """Show the open items one by one, and hand over when the person says so."""
        with pause_progress(), Terminal.opened() as terminal:
            try:
                _Asking(self.task, sitting, terminal).run()
            except KeyboardInterrupt:
                terminal.say(f"\n{sitting.stopped()}")
                raise

    def close(self) -> None:
        """Nothing stays open between two batches."""


@dataclass(frozen=True)
class _Asking:
    """One sitting in the terminal."""

    task: str
    sitting: Sitting
    terminal: Terminal

    def run(self) -> None:
        while True:
            index = self.sitting.next_open()
            if index is None:
                if self.hands_over():
                    return
            else:
                self.judge(index)

    def judge(self, index: int) -> None:
        """Ask for one verdict, or do what the person wants first."""
        self.show(index, whole=False)
        while True:
            match self.terminal.key(f"{KEYS} > "):
                case "p":
                    self.sitting.give(index, verdict_of("passed"))
                    return
                case "f":
                    category = self.category()
                    if category is not None:
                        self.sitting.give(index, verdict_of("failed", category))
                        return
                case "?":
                    self.sitting.give(index, verdict_of("abstained"))
                    return
                case "a":
                    self.show(index, whole=True)
                case "r":
                    self.terminal.say(f"ROW\n{plain(row_text(self.sitting.items[index].row))}\n")
                case "u" if self.undo():
                    return
                case "q":
                    raise self.sitting.stopped()

    def hands_over(self) -> bool:
        """Whether the job may have the verdicts; the last one can still be taken back."""
        self.terminal.say(f"\n{summary(self.sitting)}")
        while True:
            match self.terminal.key("Enter hands them to the job   u undo   q stop for now > "):
                case "\n" | "\r":
                    return True
                case "u" if self.undo():
                    return False
                case "q":
                    raise self.sitting.stopped()

    def undo(self) -> bool:
        index = self.sitting.take_back()
        self.terminal.say("Nothing to undo." if index is None else f"Took back the verdict on {index + 1}.")
        return index is not None

    def category(self) -> str | None:
        """The error class of a failure, which may be empty; None if the person changes their mind."""
        known = [name for name, _ in self.sitting.file.categories.most_common(9)]
        listed = "".join(f"   {number} {one_line(name, 40)}" for number, name in enumerate(known, start=1))
        said = self.terminal.line(f"What is wrong? Enter: no class   a class in a few words{listed}   - not wrong > ")
        if said is None or said.strip() == "-":
            return None
        text = one_line(said, 80)
        return known[int(text) - 1] if text in map(str, range(1, len(known) + 1)) else text

    def show(self, index: int, *, whole: bool) -> None:
        """The prompt and the answer, at most a screenful unless `whole`."""
        item, (columns, lines) = self.sitting.items[index], self.terminal.size()
        self.terminal.forget_typed()
        self.terminal.say(f"\n{_rule(f'{index + 1} of {len(self.sitting.items)} · {one_line(self.task)}', columns)}")
        messages = question_of(self.task, item.row)
        room = max(4, lines - 10)
        for message in messages:
            head = "QUESTION" if len(messages) == 1 else f"QUESTION · {message['role']}"
            most = None if whole else max(2, room // (2 * len(messages)))
            self.terminal.say(f"{head}\n{bounded(plain(message['content']), columns, most)}\n")
        most = None if whole else max(2, room // 2)
        self.terminal.say(f"ANSWER\n{bounded(plain(item.answer), columns, most) or '(nothing was written)'}\n")


def bounded(text: str, columns: int, lines: int | None) -> str:
    r"""The beginning and the end of a text (the end often holds the answer), in this many lines of this many columns.

    None for all of it.

    >>> bounded("abcdef\ng\nh\ni", columns=3, lines=3)
    'abc\n… 8 characters more: a shows all\ni'
    """
    if lines is None:
        return text
    rows = [
        line[start : start + columns] for line in text.split("\n") for start in range(0, max(1, len(line)), columns)
    ]
    if len(rows) <= lines:
        return text
    first, last = rows[: (lines - 1) // 2], rows[len(rows) - lines // 2 :]
    left = len(text) - sum(map(len, (*first, *last)))
    return "\n".join((*first, f"… {left:,} characters more: a shows all", *last))


def _rule(title: str, columns: int) -> str:
    return f"── {title} {'─' * max(0, min(columns, 100) - len(title) - 4)}"


class Terminal:
    """The controlling terminal, read key by key."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[Self]:
        """The terminal, unbuffered until it is closed. Raises RrrError if there is none."""
        try:
            import termios
            import tty

            descriptor = os.open(DEVICE, os.O_RDWR | os.O_NOCTTY)
        except (ImportError, OSError):
            raise RrrError(
                "person-judge: there is no terminal to ask in: ask on a page instead (--with person-judge:page=auto)."
            ) from None
        try:
            before = termios.tcgetattr(descriptor)
            try:
                tty.setcbreak(descriptor, termios.TCSADRAIN)
                yield cls(descriptor)
            finally:
                termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        finally:
            os.close(descriptor)

    def say(self, text: str) -> None:
        """Write one or more lines. Hostile text must already be made plain."""
        self._write(f"{text}\n")

    def key(self, prompt: str) -> str:
        """One key: a character. Raises RrrError if the terminal is gone."""
        self._write(prompt)
        while True:
            key = self._read(1).decode("utf-8", "replace")
            if key == ESCAPE:
                self._pass_over_sequence()
                continue
            self._write(f"{key if key.isprintable() else ''}\n")
            return "q" if key == END_OF_FILE else key

    def line(self, prompt: str) -> str | None:
        """A line that the person may edit while writing it; None for the end of file (Ctrl-D)."""
        import termios

        keys = termios.tcgetattr(self._descriptor)
        lines = keys[:]
        lines[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, lines)
        try:
            self._write(prompt)
            read = os.read(self._descriptor, 4096)
        finally:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, keys)
        return read.decode("utf-8", "replace").rstrip("\n") if read else None

    def forget_typed(self) -> None:
        """Drop keys that were typed before the prompt they would answer was shown."""
        while self._has_typed() and os.read(self._descriptor, 1024):
            pass

    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        columns, lines = os.get_terminal_size(self._descriptor)
        return columns or 80, lines or 24

    def _pass_over_sequence(self) -> None:
        """Skip the rest of what an arrow or similar key sends: `[`, parameters, and a last letter."""
        if self._has_typed() and self._read(1) in (b"[", b"O"):
            while self._has_typed() and not b"@" <= self._read(1) <= b"~":
                pass

    def _has_typed(self) -> bool:
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def _read(self, size: int) -> bytes:
        try:
            read = os.read(self._descriptor, size)
        except OSError:
            read = b""
        if not read:
            raise RrrError("person-judge: the terminal was closed: the same command resumes.")
        return read

    def _write(self, text: str) -> None:
        rest = memoryview(text.encode("utf-8", "replace"))
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
