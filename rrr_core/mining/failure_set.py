"""Failure sets on disk: the shards that mining writes, and the failures that training reads.

A shard is `shard-NNNNN.jsonl`, one line a row: `{"row_index", "tries", "passes", "abstentions", "tokens", "sampled",
"sampled_tokens", "withheld", "failures"}`, where `withheld` holds the abstained verdicts and `failures` the failing
attempts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rrr_core.episode import Failure
from rrr_core.errors import DataError, RrrError
from rrr_core.runs.files import read_numbered_lines
from rrr_core.runs.layout import MineFolder, RunFolder
from rrr_core.text import shown


def read_failures(path: Path) -> list[Failure]:
    """The failures of a failure set in row order: a folder that `rrr mine` wrote, or one JSONL file.

    A line of such a file is a mined row or a failure by itself. Raises DataError naming file and line, and RrrError
    where mining of the folder is not finished.
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
                yield from ((place, Failure.from_json(each)) for each in _mined_row(record, place)["failures"])
            else:
                yield place, _failure(record, place)


def read_shard(path: Path) -> Iterator[dict[str, Any]]:
    """The mined rows of one shard, lazily, as they were written. Raises DataError naming file and line."""
    for number, record in read_numbered_lines(path):
        yield _mined_row(record, f"{path}:{number}")


def no_failures(source: Path) -> RrrError:
    """The error to raise where training or reflection needs failures and `source` holds none."""
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


def _mined_row(record: Mapping[str, Any], place: str) -> dict[str, Any]:
    for key in ("row_index", "tries", "passes", "abstentions"):
        if not _is_count(record.get(key)):
            raise DataError(f"{place}: {key!r} must be a whole number, found {_found(record, key)}.")
    for key in ("tokens", "sampled", "sampled_tokens"):
        if record.get(key) is not None and not _is_count(record[key]):
            raise DataError(f"{place}: {key!r} must be a whole number or null, found {_found(record, key)}.")
    for key in ("failures", "withheld"):
        if not isinstance(record.get(key), list):
            raise DataError(f"{place}: {key!r} must be a list, found {_found(record, key)}.")
    for failure in record["failures"]:
        _failure(failure, place)
    for verdict in record["withheld"]:
        if not _is_verdict(verdict, "abstained"):
            raise DataError(f"{place}: 'withheld' must hold abstentions, found {shown(verdict)}.")
    return dict(record)


def _failure(record: Any, place: str) -> Failure:
    if not isinstance(record, dict):
        raise DataError(f"{place}: a failure must be a JSON object, found {type(record).__name__}.")
    checks = {
        "failure_id": (_is_text, "a text"),
        "row_index": (_is_count, "a whole number"),
        "row": (lambda value: isinstance(value, dict), "a JSON object"),
        "prompt": (_is_messages, "a list of messages with 'role' and 'content'"),
        "attempt": (_is_text, "a text"),
        "verdict": (
            lambda value: _is_verdict(value, "failed"),
            "a failed verdict with 'outcome', 'category' and 'detail'",
        ),
        "try_index": (_is_count, "a whole number"),
    }
    for key, (holds, wanted) in checks.items():
        if not holds(record.get(key)):
            raise DataError(f"{place}: a failure's {key!r} must be {wanted}, found {_found(record, key)}.")
    if unknown := sorted(set(record) - set(checks)):
        raise DataError(f"{place}: a failure has no {unknown[0]!r}; its keys are {', '.join(checks)}.")
    return Failure.from_json(record)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(message, dict) and _is_text(message.get("role")) and _is_text(message.get("content"))
            for message in value
        )
    )


def _is_verdict(value: Any, outcome: str) -> bool:
    return (
        isinstance(value, dict)
        and value.get("outcome") == outcome
        and set(value) <= {"outcome", "category", "detail"}
        and all(_is_text(each) for each in value.values())
    )


def _found(record: Mapping[str, Any], key: str) -> str:
    return shown(record[key]) if key in record else "nothing"
