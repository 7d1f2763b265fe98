"""Rows from local files: an error names the bad row's file and line."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rrr_core.errors import DataError, nearest
from rrr_core.row_files import row_json

Record: TypeAlias = Mapping[str, Any]
"""A row as it is in its file."""

PlacedRow: TypeAlias = tuple[str, dict[str, Any]]
"""A row's place, such as `rows.jsonl, line 7`, and the row."""

_SPACE = re.compile(r"[ \t\n\r]*")
"""JSON's only white space."""


class RowError(ValueError):
    """A malformed row; the message says what is wrong in one line, without the place and without a full stop."""


def as_it_is(record: Record) -> Record:
    """The record, unchanged."""
    return record


@dataclass(frozen=True, slots=True)
class RowShape:
    """The shape of a task's rows in files."""

    columns: tuple[str, ...]
    """The columns that every record must have."""
    checked: Callable[[Record], dict[str, Any]]
    """Turns a record with these columns into a row. Raises RowError if it is malformed."""
    optional: tuple[str, ...] = ()
    """Columns that `checked` takes if they are present. Other columns of Parquet files are not read."""
    from_csv: Callable[[Record], Record] = as_it_is
    """Converts a CSV row, whose fields are all text, into a record with numbers and lists. May raise RowError."""
    from_table: Callable[[Record], Record] = as_it_is
    """Converts a row of a Parquet or hub table, which may alter values, into a record. May raise RowError."""


def read_rows(path: Path, shape: RowShape, split: str = "") -> Iterator[PlacedRow]:
    """All rows of a file, or of one split's file in a folder, lazily and in the file's order.

    Raises DataError: at once if the file cannot be used at all, and while iterating at the first malformed row.
    """
    if path.is_dir():
        path = path_in_folder(path, split)
    if path.suffix not in READERS:
        raise DataError(f"{path}: a file of rows must end in {WANTED_SUFFIXES}.{nearest(path.suffix, READERS)}")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path}: {error.strerror}.{nearest(path.name, siblings)}") from error
    return READERS[path.suffix](path, shape)


def bucket_of(content: str) -> int:
    """A text's bucket, 0 to 99, by its hash: for splitting by content.

    With buckets under 20 as `test`, say, equal rows never end up in both splits, wherever they are in the file.

    >>> bucket_of("What is 2 + 3?")
    60
    """
    return int.from_bytes(hashlib.sha256(content.encode(errors="surrogatepass")).digest()[:8], "big") % 100


def row_at(where: str, record: Any, shape: RowShape, adapted: Callable[[Record], Record] = as_it_is) -> PlacedRow:
    """The row in the record at `where`. Raises DataError, with the place, for a malformed one."""
    if not isinstance(record, dict):
        raise DataError(f"{where}: a row must be a JSON object, but is {excerpt(record)}.")
    require_columns(record, shape.columns, where)
    try:
        return where, shape.checked(adapted(record))
    except RowError as error:
        raise DataError(f"{where}: {error}.") from error


def require_columns(found: Iterable[str], wanted: tuple[str, ...], where: str) -> None:
    """Raise DataError if a wanted column is missing, naming those wanted, those found and the nearest."""
    found = list(found)
    for name in wanted:
        if name not in found:
            raise DataError(
                f"{where}: no column {name!r}; found {names(found)}, wanted {listed(map(repr, wanted), 'and')}."
                f"{nearest(name, found)}"
            )


def path_in_folder(folder: Path, split: str) -> Path:
    """The file of a folder that holds a split. Raises DataError if there is none, or more than one."""
    found = sorted(path for path in folder.iterdir() if path.stem == split and path.suffix in READERS)
    if not found:
        present = ", ".join(ascii(path.name) for path in sorted(folder.iterdir())[:8]) or "nothing"
        raise DataError(
            f"{folder}: no file for the split {split!r}: wanted {split}.* of {WANTED_SUFFIXES}, found {present}."
        )
    if len(found) > 1:
        raise DataError(f"{folder}: more than one file for the split {split!r}: {', '.join(p.name for p in found)}.")
    return found[0]


def read_json_lines(path: Path, shape: RowShape) -> Iterator[PlacedRow]:
    """Read one JSON object per line, in UTF-8; blank lines are skipped."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path}, line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if not text.strip():
                    continue
                record = row_json.decode(text)
            except UnicodeDecodeError as error:
                raise DataError(f"{where}: not UTF-8 text.") from error
            except ValueError as error:
                raise DataError(f"{where}: not JSON ({error}).") from error
            yield row_at(where, record, shape)


def read_json_array(path: Path, shape: RowShape) -> Iterator[PlacedRow]:
    """Read one JSON array of objects, in UTF-8. Errors name the line where a row starts.

    The text is read whole; its rows are decoded one at a time.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text.") from error
    position = _after_space(text, 0)
    if not text.startswith("[", position):
        raise DataError(f"{path}: not one JSON array of rows. Name a file with one row per line .jsonl.")
    position = _after_space(text, position + 1)
    line, counted, is_first = 1, 0, True
    while not text.startswith("]", position):
        if not is_first:
            if not text.startswith(",", position):
                raise DataError(f"{path}, line {line}: not JSON (wanted ',' or ']' after this row).")
            position = _after_space(text, position + 1)
        is_first = False
        line += text.count("\n", counted, position)
        counted = position
        where = f"{path}, line {line}"
        try:
            record, position = row_json.decode_at(text, position)
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error}).") from error
        yield row_at(where, record, shape)
        position = _after_space(text, position)
    if _after_space(text, position + 1) < len(text):
        raise DataError(f"{path}: more text after the array of rows.")


def read_csv(path: Path, shape: RowShape) -> Iterator[PlacedRow]:
    """Read a header, then rows with a field for each column; all fields are text."""
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
                require_columns(fields, shape.columns, where)
                twice = [name for name in fields if fields.count(name) > 1]
                if twice:
                    raise DataError(f"{where}: the column {twice[0]!r} appears twice.")
                header = fields
            elif len(fields) == len(header):
                yield row_at(where, dict(zip(header, fields, strict=True)), shape, shape.from_csv)
            elif fields:  # else a blank line
                raise DataError(f"{where}: {len(fields)} fields, but the header has {len(header)}.")
        if not header:
            wanted = listed(map(repr, shape.columns), "and")
            raise DataError(f"{path}, line 1: no header; wanted the columns {wanted}.")


def read_parquet(path: Path, shape: RowShape) -> Iterator[PlacedRow]:
    """Read a Parquet file's rows, a batch at a time. Errors name the row number, counted from 1."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        others = listed((suffix for suffix in READERS if suffix != path.suffix), "or")
        raise DataError(
            f"{path}: reading Parquet needs the package 'pyarrow': pip install pyarrow, or give a {others} file."
        ) from error
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            present = table.schema_arrow.names
            require_columns(present, shape.columns, str(path))
            columns = [*shape.columns, *(name for name in shape.optional if name in present)]
            for batch in table.iter_batches(columns=columns):
                for record in batch.to_pylist():
                    number += 1
                    yield row_at(f"{path}, row {number}", record, shape, shape.from_table)
    except (pyarrow.ArrowException, OSError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(f"{path}: cannot be read as Parquet after row {number} ({reason}).") from error


def excerpt(value: Any) -> str:
    """Any value in at most 40 printable characters.

    >>> excerpt("\\x1b[2J"), excerpt([[1]]), excerpt(10**5000)
    ("'\\\\x1b[2J'", 'a list of 1', 'a huge number')
    """
    if type(value) is int and value.bit_length() > 128:
        return "a huge number"
    if isinstance(value, (list, dict)):
        inner = list(value.values() if isinstance(value, dict) else value)
        if len(inner) > 3 or any(isinstance(each, (list, dict)) for each in inner):
            return f"{'a list' if isinstance(value, list) else 'an object'} of {len(inner)}"
    text = ascii(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 40 else text[:37] + "…"


def names(keys: Iterable[Any]) -> str:
    """The first dozen keys or columns, for messages."""
    return ", ".join(excerpt(key) for key in list(keys)[:12]) or "none"


def listed(words: Iterable[str], joint: str) -> str:
    """Words joined as in a sentence.

    >>> listed(["a", "b", "c"], "and")
    'a, b and c'
    """
    *others, last = words
    return f"{', '.join(others)} {joint} {last}" if others else last


def _after_space(text: str, position: int) -> int:
    """The first position at or after `position` that is not white space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


READERS: dict[str, Callable[[Path, RowShape], Iterator[PlacedRow]]] = {
    ".jsonl": read_json_lines,
    ".json": read_json_array,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
WANTED_SUFFIXES = listed(READERS, "or")
"""The supported kinds of files, for messages."""
