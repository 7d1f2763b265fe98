"""Failure sets on disk: the shards that mining writes, and the failures that training reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rrr_core.episode import Failure
from rrr_core.errors import DataError, RrrError
from rrr_core.mining.mined_row import MinedRow
from rrr_core.runs.files import read_numbered_lines
from rrr_core.runs.layout import MineFolder, RunFolder


def read_failures(path: Path) -> list[Failure]:
    """The failures of a failure set in row order: a folder that `rrr mine` wrote, or one JSONL file.

    Each line of the file is a mined row or a single failure. Raises DataError naming file and line, and RrrError if
    mining is unfinished.
    """
    files = _files(Path(path))
    failures: list[Failure] = []
    seen: set[str] = set()
    for place, failure in _placed(files):
        if failure.failure_id in seen:
            first = next(earlier for earlier, other in _placed(files) if other.failure_id == failure.failure_id)
            raise DataError(f"{place}: failure_id {failure.failure_id!r} is taken by {first}.")
        seen.add(failure.failure_id)
        failures.append(failure)
    return failures


def _placed(files: Sequence[Path]) -> Iterator[tuple[str, Failure]]:
    """The failures in files, lazily, each with its file and line."""
    for file in files:
        for number, record in read_numbered_lines(file):
            place = f"{file}:{number}"
            if "failures" in record:
                yield from ((place, failure) for failure in MinedRow.from_json(record, place).failures)
            else:
                yield place, Failure.from_json(record, place)


def read_shard(path: Path) -> Iterator[MinedRow]:
    """The mined rows of one shard, lazily. Raises DataError naming file and line."""
    for number, record in read_numbered_lines(path):
        yield MinedRow.from_json(record, f"{path}:{number}")


def no_failures(source: Path) -> RrrError:
    """The error to raise when training or reflection needs failures and `source` holds none."""
    return RrrError(
        f"{source} holds no failures, so there is nothing to reflect on: mine more rows or more tries, "
        f"at a higher temperature, or a harder data set."
    )


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    folder = MineFolder(path)
    files = folder.shards()
    if folder.manifest.exists() and not folder.summary.exists():
        raise RrrError(
            f"Mining of {path} is not finished ({len(files)} shards so far): run the same command again to finish it, "
            f"or give one of its shards."
        )
    if not files:
        inner = RunFolder(path).mine.path
        hint = f" Did you mean {str(inner)!r}?" if inner.is_dir() else ""
        raise DataError(f"{path} holds no failure set (shards of mined rows): make one with `rrr mine`.{hint}")
    return files
