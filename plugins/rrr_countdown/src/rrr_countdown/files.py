"""Local Countdown files: JSON lines, Parquet and CSV, each malformed row blamed on its file and line.

A folder holds its own split, as `train.SUFFIX` and `test.SUFFIX`. A single file is split by the content of its rows:
those that `generated.split_of` assigns to `test` (10 of 100) are the test rows, all others the training rows. So equal
rows never fall on both sides, and no test row can be one that the embedded model was warmed up on.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, nearest
from rrr_countdown.generated import split_of
from rrr_countdown.row_check import WANTED, RowError, checked, excerpt


def load(path: Path, split: str) -> Iterator[dict[str, Any]]:
    """The rows of `train` or `test` in a file, or in a folder of two files.

    Raises DataError, here if the file cannot be used at all, and while iterating at the first malformed row.
    """
    if path.is_dir():
        return reader_of(path_in_folder(path, split))
    rows = reader_of(path)
    return (row for row in rows if (split_of(row["nums"], row["target"]) == "test") == (split == "test"))


def path_in_folder(folder: Path, split: str) -> Path:
    """The one file of a folder that holds a split."""
    found = sorted(path for path in folder.iterdir() if path.stem == split and path.suffix in READERS)
    if not found:
        names = ", ".join(repr(path.name) for path in sorted(folder.iterdir())[:8]) or "nothing"
        raise DataError(
            f"{folder}: no file for the split {split!r}: wanted {split}.* of {WANTED_SUFFIXES}, found {names}."
        )
    if len(found) > 1:
        raise DataError(f"{folder}: more than one file for the split {split!r}: {', '.join(p.name for p in found)}.")
    return found[0]


def reader_of(path: Path) -> Iterator[dict[str, Any]]:
    """A file's rows, by its suffix. The file is opened now and read while iterating."""
    if path.suffix not in READERS:
        raise DataError(f"{path}: a file of rows must end in {WANTED_SUFFIXES}.{nearest(path.suffix, READERS)}")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path}: {error.strerror}.{nearest(path.name, siblings)}") from error
    return READERS[path.suffix](path)


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """One JSON object a line, in UTF-8; blank lines are passed over."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path}, line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if not text.strip():
                    continue
                record = json.loads(text)
            except UnicodeDecodeError as error:
                raise DataError(f"{where}: not UTF-8 text.") from error
            except (ValueError, RecursionError) as error:
                raise DataError(f"{where}: not JSON ({error}).") from error
            if not isinstance(record, dict):
                raise DataError(f"{where}: a row must be a JSON object, but is {excerpt(record)}.")
            check_columns(list(record), where)
            yield row_at(where, record)


def read_csv(path: Path) -> Iterator[dict[str, Any]]:
    """A header, then rows whose `nums` are JSON (`"[44, 19, 35]"`) or numbers between spaces (`44 19 35`)."""
    with path.open(encoding="utf-8-sig", newline="") as text:
        records = csv.reader(text, strict=True)
        header: list[str] = []
        while True:
            where = f"{path}, line {records.line_num + 1}"
            try:
                fields = next(records, None)
            except UnicodeDecodeError as error:
                raise DataError(f"{where} or a later one: not UTF-8 text.") from error
            except csv.Error as error:
                raise DataError(f"{where}: not CSV ({error}).") from error
            if fields is None:
                break
            if not header:
                check_columns(fields, where)
                header = fields
                continue
            if not fields:
                continue
            if len(fields) != len(header):
                raise DataError(f"{where}: {len(fields)} fields, but the header has {len(header)}.")
            record = dict(zip(header, fields, strict=True))
            yield row_at(where, {"nums": csv_numbers(record["nums"]), "target": csv_integer(record["target"])})
        if not header:
            raise DataError(f"{path}, line 1: no header; wanted the columns {wanted_names()}.")


def csv_numbers(text: str) -> Any:
    """The list in a CSV field, or the text itself where it holds none."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return [csv_integer(word) for word in text.split()] or text


def csv_integer(text: str) -> int | str:
    """The integer in a CSV field, or the text itself where it holds none."""
    digits = text.strip().removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else text


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """A Parquet file's rows, a batch at a time. Places in errors are row numbers, counted from 1."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise DataError(
            f"{path}: reading Parquet needs the package 'pyarrow': pip install 'rrr-countdown[parquet]', "
            "or give JSON lines or CSV."
        ) from error
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            check_columns(table.schema_arrow.names, str(path))
            for batch in table.iter_batches(columns=list(WANTED)):
                for record in batch.to_pylist():
                    number += 1
                    yield row_at(f"{path}, row {number}", record)
    except (pyarrow.ArrowException, OSError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(f"{path}: cannot be read as Parquet after row {number} ({reason}).") from error


def check_columns(found: Sequence[str], where: str) -> None:
    """Raise DataError if a wanted column is not there, naming those found, those wanted and the nearest."""
    for name in WANTED:
        if name not in found:
            names = ", ".join(ascii(column) for column in found[:12]) or "none"
            raise DataError(
                f"{where}: no column {name!r}; found {names}, wanted {wanted_names()}.{nearest(name, found)}"
            )


def wanted_names() -> str:
    """The wanted columns for a person."""
    return " and ".join(map(repr, WANTED))


def row_at(where: str, record: dict[str, Any]) -> dict[str, Any]:
    """The row in a record; a malformed one is blamed on its place."""
    try:
        return checked(record)
    except RowError as error:
        raise DataError(f"{where}: {error}.") from error


READERS: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    ".jsonl": read_json_lines,
    ".parquet": read_parquet,
    ".csv": read_csv,
}
WANTED_SUFFIXES = ", ".join(list(READERS)[:-1]) + " or " + list(READERS)[-1]
