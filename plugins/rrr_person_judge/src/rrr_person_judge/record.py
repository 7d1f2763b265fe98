"""The file of a person's verdicts: JSON lines, each on disk before the next answer is shown.

The first line says what the file is and of which task. Each later line is a verdict, or takes one back:

    {"file": "rrr person verdicts", "version": 1, "task": "countdown"}
    {"item": "9f0c…", "outcome": "passed", "category": "", "by": "kim", "at": "…", "row": {…}, "answer": "…"}
    {"item": "9f0c…", "outcome": "undone", "category": "", "by": "kim", "at": "…"}

Of several lines for one item the last one counts. An unfinished last line, from a killed process, is removed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from rrr_core import Row, Verdict, failed, passed, withheld
from rrr_core.errors import DataError, RrrError
from rrr_core.overlays import pair_key
from rrr_person_judge.options import UNNAMED

KIND, VERSION = "rrr person verdicts", 1
UNDONE = "undone"
"""The outcome of a line that takes a verdict back."""
OUTCOMES = ("passed", "failed", "abstained", UNDONE)
_FIX = "fix it, or name another file (--with person-judge:file=PATH)"


@dataclass(frozen=True, slots=True)
class Item:
    """An answer for a person to judge."""

    key: str
    """Its identity in the file: a hash of task, row and answer."""
    row: Row
    answer: str


def item_of(task: str, row: Row, answer: str) -> Item:
    """The item for a row and an answer. The order of a row's keys makes no difference."""
    return Item(pair_key(task, row, answer), row, answer)


class VerdictFile:
    """The saved verdicts, by item; locked for this process until it is closed."""

    def __init__(self, path: Path, task: str, by: str = "") -> None:
        """Open or create the file, and read its content.

        Raises RrrError if another process has it open or it cannot be written, and DataError, with file and line, if it
        belongs to another task or is another kind of file.
        """
        self.path, self.task, self.by = Path(path), task, by
        self.verdicts: dict[str, Verdict] = {}
        """Item's key → verdict, in the order given."""
        self.categories: Counter[str] = Counter()
        """The error classes given so far, including those taken back, and how often."""
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644
            )
        try:
            self._lock()
            self._read()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def keep(self, item: Item, verdict: Verdict) -> None:
        """Save a verdict, replacing an earlier one. It is on disk when this returns."""
        self._append(
            {**self._about(item.key, verdict.outcome, verdict.category), "row": item.row, "answer": item.answer}
        )
        self._take_in(item.key, verdict.outcome, verdict.category)

    def take_back(self, key: str) -> None:
        """Forget the verdict on an item."""
        self._append(self._about(key, UNDONE, ""))
        self._take_in(key, UNDONE, "")

    def close(self) -> None:
        """Close the file, which releases it for other processes."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _about(self, key: str, outcome: str, category: str) -> dict[str, Any]:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return {"item": key, "outcome": outcome, "category": category, "by": self.by, "at": at}

    def _take_in(self, key: str, outcome: str, category: str) -> None:
        self.verdicts.pop(key, None)
        if outcome != UNDONE:
            self.verdicts[key] = verdict_of(outcome, category)
        if outcome == "failed":
            self.categories[category] += 1

    def _append(self, record: dict[str, Any]) -> None:
        """Write one line of ASCII, which no hostile text can split, and wait until it is on disk."""
        self._write(json.dumps(record, allow_nan=False).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        rest, size = memoryview(line), os.fstat(self._descriptor).st_size
        with self._explained():
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
                os.fsync(self._descriptor)
            except OSError:
                os.ftruncate(self._descriptor, size)
                raise

    def _lock(self) -> None:
        """Lock the file, if the system has locks; the kernel releases it when this process ends, however it ends."""
        try:
            import fcntl
        except ImportError:
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RrrError(
                f"{self.path}: another process keeps its verdicts there: end it, or name another file "
                "(--with person-judge:file=PATH)."
            ) from None
        except OSError:
            return  # A network file system without locks: go on without one.

    def _read(self) -> None:
        with open(self.path, "rb") as file:
            content = file.read()
        head = {"file": KIND, "version": VERSION, "task": self.task}
        first = json.dumps(head).encode() + b"\n"
        if len(content) < len(first) and first.startswith(content):
            self._truncate(0)
            self._append(head)
            return
        *lines, torn = content.split(b"\n")
        # An editor may have removed the last line's end. No proper prefix of a JSON object is JSON.
        if torn and (not lines or _is_json(torn)):
            lines, torn = [*lines, torn], b""
        for number, line in enumerate(lines, start=1):
            record = self._parsed(line, number)
            if number == 1:
                self._check_head(record)
            else:
                self._check(record, number)
                self._take_in(record["item"], record["outcome"], record["category"])
        if torn:
            self._truncate(len(content) - len(torn))
        elif not content.endswith(b"\n"):
            self._write(b"\n")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an operating-system error into one line for the person."""
        try:
            yield
        except OSError as error:
            raise RrrError(
                f"{self.path} cannot be written: {error.strerror or error}. All that was judged before is kept, "
                "and the same command resumes."
            ) from error

    def _truncate(self, size: int) -> None:
        with self._explained():
            os.ftruncate(self._descriptor, size)

    def _parsed(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            wrong = "not a file of person-judge's verdicts" if number == 1 else "not a line of person-judge"
            raise DataError(f"{self.path}:{number}: {wrong}: {_FIX}.")
        return record

    def _check_head(self, record: dict[str, Any]) -> None:
        if record.get("file") != KIND or not isinstance(record.get("task"), str):
            raise DataError(f"{self.path}:1: not a file of person-judge's verdicts: {_FIX}.")
        if record.get("version") != VERSION:
            raise DataError(f"{self.path}:1: of another version of person-judge than this one's {VERSION}: {_FIX}.")
        if record["task"] != self.task:
            raise DataError(f"{self.path}:1: holds verdicts of the task {record['task']!r}, not {self.task!r}: {_FIX}.")

    def _check(self, record: dict[str, Any], number: int) -> None:
        for key in ("item", "outcome", "category"):
            if not isinstance(record.get(key), str):
                raise DataError(f"{self.path}:{number}: {key!r} is missing or no text: {_FIX}.")
        if record["outcome"] not in OUTCOMES:
            raise DataError(f"{self.path}:{number}: 'outcome' is none of {', '.join(OUTCOMES)}: {_FIX}.")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def verdict_of(outcome: str, category: str = "") -> Verdict:
    """The verdict in a line; a person who is not sure withholds it.

    >>> verdict_of("failed", "rude"), verdict_of("abstained").category
    (Verdict(outcome='failed', category='rude', detail=''), 'withheld')
    """
    if outcome == "abstained":
        return withheld("the person cannot tell")
    return passed() if outcome == "passed" else failed(category or UNNAMED)
