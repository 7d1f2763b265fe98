"""Failure sets on disk: the shards that mining writes, and the failures that training reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

from rrr_core.episode import Failure
from rrr_core.errors import DataError, RrrError
from rrr_core.mining.mined_row import MinedRow
from rrr_core.mining.tally import MiningSummary, Tally
from rrr_core.records import NUMBER, OBJECT, Record
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json, read_numbered_lines
from rrr_core.runs.layout import SHARD_PREFIX, MineFolder, RunFolder


def read_failures(path: Path) -> list[Failure]:
    """The failures of a failure set in row order: a folder that `rrr mine` wrote, or one JSONL file.

    A failing attempt comes before its failed retries. Each line of the file is a mined row or a single failure. A
    folder must be as it was mined: its shards are held against their digests and against the sums in its summary.
    Raises DataError naming file and line, and RrrError if mining is unfinished.
    """
    placed = list(_mined(Path(path)) if Path(path).is_dir() else _placed(Path(path)))
    taken: dict[str, str] = {}
    for place, failure in placed:
        if failure.failure_id in taken:
            raise DataError(f"{place}: failure_id {failure.failure_id!r} is taken by {taken[failure.failure_id]}.")
        taken[failure.failure_id] = place
    return [failure for _, failure in placed]


def _mined(path: Path) -> Iterator[tuple[str, Failure]]:
    """The failures of a folder, each with its file and line."""
    folder, tally = MineFolder(path), Tally()
    shards = _finished(folder)
    digests = Digests(path)
    for lost in digests.lacking(SHARD_PREFIX):
        raise DataError(f"{lost} is missing: {how_to_repair(folder, lost)}")
    for shard in shards:
        for number, record in read_numbered_lines(shard):
            place = f"{shard}:{number}"
            mined = MinedRow.from_json(record, place)
            tally.add(mined)
            yield from ((place, failure) for failure in _rated(mined))
        digests.check(shard, how_to_repair(folder, shard))
    if folder.summary.exists():
        check_summary(folder, tally)


def _placed(file: Path) -> Iterator[tuple[str, Failure]]:
    """The failures of one file, lazily, each with its file and line."""
    for number, record in read_numbered_lines(file):
        place = f"{file}:{number}"
        if record.keys() & {"failures", "tries", "withheld"}:
            yield from ((place, failure) for failure in _rated(MinedRow.from_json(record, place)))
        else:
            yield place, Failure.from_json(record, place)


def _rated(mined: MinedRow) -> list[Failure]:
    """The failures of a row, each with the row's pass rate."""
    return [
        replace(failure, pass_rate=mined.passes / (mined.tries - mined.abstentions)) for failure in mined.all_failures
    ]


def failures_of_several(sets: Mapping[str, Sequence[Failure]]) -> list[Failure]:
    """The failures of several tasks by name, each of which then knows its task.

    The order in which the tasks are given makes no difference. Raises DataError for a task without failures.
    """
    together = []
    for task, failures in sorted(sets.items()):
        if not failures:
            raise DataError(
                f"the failure set of {task} is empty: mine more of its rows or a harder split, or leave it out."
            )
        together += [
            replace(one, failure_id=f"{task}/{one.failure_id}", episode=replace(one.episode, task=task))
            for one in failures
        ]
    return together


def check_summary(folder: MineFolder, tally: Tally) -> None:
    """Raise DataError if `summary.json` is damaged or disagrees with the rows in the shards, naming what differs."""
    found, counted = read_summary(folder.summary), asdict(tally.summary(0.0))
    for name, value in found.items():
        if name != "seconds" and counted[name] != value:
            raise DataError(
                f"{folder.summary} says {name} {value}, and the shards beside it have {counted[name]}: rows were lost"
                f" or changed. Delete {folder.path} and run the command that mined it again."
            )


def read_summary(path: Path) -> dict[str, Any]:
    """What `summary.json` of a failure set holds; an older version left some keys out. Raises DataError for
    one that is damaged, or was changed since it was written.
    """
    fields = Record(read_json(path), f"{path}:1", "a summary of mining")
    fields.has_only([field.name for field in dataclass_fields(MiningSummary)])
    objects = ("no_answers", "reflected")
    found = {name: fields.get(name, OBJECT if name in objects else NUMBER, None) for name in fields.values}
    Digests(path.parent).check(path, _REMOVE_SUMMARY)
    return found


def how_to_repair(folder: MineFolder, shard: Path) -> str:
    """What to do about a shard that is damaged or missing, for the end of an error."""
    try:
        settings = read_json(folder.manifest)["identity"]["settings"]
        depends = bool(settings["failures_wanted"])
    except (DataError, KeyError, TypeError):
        depends = False
    if depends:
        return (
            f"delete {folder.path} and run the command that mined it again, since which rows are mined, to collect a"
            " number of failures, depends on all shards."
        )
    also = f"{folder.summary.name} beside it" if not shard.exists() else f"it and {folder.summary.name} beside it"
    return f"delete {also}, and run the command that mined it again: it mines these rows again."


_REMOVE_SUMMARY = "delete it, and run the command that mined it again: it is made again from the shards."


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


def _finished(folder: MineFolder) -> list[Path]:
    """The shards of a folder that was mined to its end."""
    path, files = folder.path, folder.shards()
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
