"""Claims on shards: a file of its own for each, locked by the process that works on it.

The lock is the kernel's (`flock`), so a process that dies gives its shard back. What a process other than the writing
one has made is handed in here, whole or not at all, until that one takes it over.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from rrr_core.errors import DataError
from rrr_core.processes.shards import Elsewhere, ShardJob
from rrr_core.profiling.spent import Spent
from rrr_core.runs.files import explained, make_folder, open_own, read_numbered_lines, write_lines
from rrr_core.runs.layout import ClaimsFolder

DONE = b"done"


@dataclass(frozen=True)
class Claims:
    """The claims on a stage's shards."""

    files: ClaimsFolder
    rank: int
    size: int

    def open(self) -> None:
        """Begin, in the process that leads: what a killed launch handed in stays, its claims are void."""
        make_folder(self.files.path)
        for claim in self.files.claims():
            claim.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.files.path, ignore_errors=True)

    @contextmanager
    def claimed(self, job: ShardJob) -> Iterator[bool]:
        """Whether the job is this process's until the end: not if it is done, or another is at it.

        It counts as done if the end is reached without an error. Where there are no file locks, each process has the
        shards of its turn.
        """
        path = self.files.claim(job.name)
        with explained(path):
            descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
        try:
            held = _lock(descriptor)
            is_mine = job.number % self.size == self.rank if held is None else held
            if not is_mine or os.read(descriptor, len(DONE)) == DONE:
                yield False
                return
            yield True
            with explained(path):
                os.pwrite(descriptor, DONE, 0)
        finally:
            os.close(descriptor)

    def is_done(self, job: ShardJob) -> bool:
        """Whether it was done since the last `open`, or handed in before."""
        with suppress(OSError):
            return self.is_handed_in(job) or self.files.claim(job.name).read_bytes() == DONE
        return False

    def claim(self, jobs: Iterable[ShardJob], held: ExitStack) -> ShardJob | None:
        """The first job that is free, claimed until `held` ends; None if there is none."""
        for job in jobs:
            with ExitStack() as trial:
                if not self.is_done(job) and trial.enter_context(self.claimed(job)):
                    held.push(trial.pop_all())
                    return job
        return None

    @contextmanager
    def present(self) -> Iterator[bool]:
        """Show that this process is at work, until the end; False if the work is over and the folder gone."""
        path = self.files.presence(self.rank)
        try:
            descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
        except OSError:
            yield False
            return
        try:
            _lock(descriptor)
            yield True
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def others_present(self) -> list[int]:
        """The ranks that show themselves and have not died."""
        found = []
        for rank in range(self.size):
            with suppress(OSError):
                descriptor = os.open(self.files.presence(rank), os.O_RDWR)
                if _lock(descriptor) is not True:
                    found.append(rank)
                os.close(descriptor)
        return found

    def hand_in(self, job: ShardJob, lines: Sequence[Mapping[str, Any]], spent: Spent) -> None:
        """Hand in a shard's records, from which rows they were made, and what they took."""
        write_lines(self.files.handed_in(job.name), [{"spent": spent.to_json(), "rows": _digest(job)}, *lines])

    def is_handed_in(self, job: ShardJob) -> bool:
        """Whether it can be taken over."""
        return self.files.handed_in(job.name).exists()

    def ahead(self) -> int:
        """How many shards are handed in and not yet taken over."""
        return len(self.files.all_handed_in())

    def take(self, job: ShardJob) -> Elsewhere:
        """What was handed in for a job. Raises DataError for a file that `hand_in` did not write, or of other rows."""
        path = self.files.handed_in(job.name)
        first, *lines = (record for _, record in read_numbered_lines(path))
        try:
            spent, rows = Spent.from_json(first["spent"]), first["rows"]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise DataError(f"{path}:1: not what a process took: delete the file; the shard is made again.") from None
        if len(lines) != len(job.rows):
            raise DataError(
                f"{path} holds {len(lines)} records of {len(job.rows)} rows: delete the file; the shard is made again."
            )
        if rows != _digest(job):
            raise DataError(
                f"{path} was made from other rows than this process has: give all processes the same data, and delete"
                " the file; the shard is made again."
            )
        return Elsewhere(lines, spent)

    def forget(self, job: ShardJob) -> None:
        """Remove what was handed in for a job that is in its place now."""
        self.files.claim(job.name).write_bytes(DONE)
        self.files.handed_in(job.name).unlink(missing_ok=True)


def _digest(job: ShardJob) -> str:
    rows = [[index, dict(row)] for index, row in job.rows]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _lock(descriptor: int) -> bool | None:
    """Whether the file was locked; False if another process holds it, None if there are no locks here."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True
