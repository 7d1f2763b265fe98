"""Rows from local files: an error names the bad row's file and line."""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias, TypeVar, cast

from rrr_core.errors import DataError, nearest
from rrr_core.row_files import row_json
from rrr_core.row_files.tables import column_of_keys

Record: TypeAlias = Mapping[str, Any]
"""A row as it is in its file."""

PlacedRow: TypeAlias = tuple[str, dict[str, Any]]
"""A row's place, such as `rows.jsonl, line 7`, and the row."""

Text = TypeVar("Text", str, bytes)

PACKED = ".gz"
"""The suffix of a packed text file, such as `train.jsonl.gz`."""
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
    """Converts a row of a table (Parquet, `datasets`), which may alter values, into a record. May raise RowError."""
    own_keys: tuple[str, ...] = ()
    """Objects whose keys differ from row to row, such as `answers.arguments`. A table that makes columns of their keys
    is refused, for it gives each object the keys of all others, as null."""


def bucket_of(content: str) -> int:
    """A text's bucket, 0 to 99, by its hash: for splitting by content.

    With buckets under 20 as `test`, say, equal rows never end up in both splits, wherever they are in the file.

    >>> bucket_of("What is 2 + 3?")
    60
    """
    import hashlib  # imported here: it loads OpenSSL, and most commands split nothing

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


def read_json_lines(path: Path, shape: RowShape) -> Iterator[PlacedRow]:
    """Read one JSON object per line, in UTF-8; blank lines are skipped."""
    with opened(path) as lines:
        for number, line in enumerate(_unpacked(lines, path), start=1):
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
        with opened(path) as file:
            text = b"".join(_unpacked(file, path)).decode("utf-8-sig")
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
    with io.TextIOWrapper(opened(path), encoding="utf-8-sig", newline="") as text:
        records = csv.reader(_unpacked(text, path), strict=True)
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
                _require_commas(fields, shape.columns, where)
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


def require_own_keys(columns: Any, shape: RowShape, where: str) -> None:
    """Raise DataError if a table has columns for the keys of an object that must keep its own.

    `columns` are the features of a table of `datasets`, or pyarrow's schema.
    """
    for path in shape.own_keys:
        key = column_of_keys(columns, path)
        if key is not None:
            name = path.partition(".")[0]
            raise DataError(
                f"{where}: {path!r} must keep its own keys, and this table has a column for each, such as "
                f"{key[:40]!a}, which gives every row the keys of all others. Save {name!r} as JSON in a string, or "
                "the rows as JSON lines."
            )


def _require_commas(fields: list[str], wanted: tuple[str, ...], where: str) -> None:
    """Raise DataError for a header that another separator than the comma splits into the wanted columns."""
    for separator, name in ((";", "';'"), ("\t", "tabs"), ("|", "'|'")):
        words = [word.strip().strip('"') for word in ",".join(fields).split(separator)]
        if len(words) > len(fields) and set(wanted) <= set(words):
            raise DataError(
                f"{where}: no column {wanted[0]!r}, for the fields are separated by {name}: save the file with commas "
                "between them."
            )


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
            require_own_keys(table.schema_arrow, shape, str(path))
            columns = [*shape.columns, *(name for name in shape.optional if name in present)]
            for batch in table.iter_batches(columns=columns):
                for record in batch.to_pylist():
                    number += 1
                    yield row_at(f"{path}, row {number}", record, shape, shape.from_table)
    except (pyarrow.ArrowException, OSError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(f"{path}: cannot be read as Parquet after row {number} ({reason}).") from error


def opened(path: Path) -> IO[bytes]:
    """A file of text, to read its bytes; one whose name ends in `.gz` is unpacked as it is read."""
    if path.suffix != PACKED:
        return path.open("rb")
    import gzip

    return cast("IO[bytes]", gzip.open(path))


def _unpacked(lines: Iterable[Text], path: Path) -> Iterator[Text]:
    """The lines of a file. Raises DataError at a damaged packed one."""
    try:
        yield from lines
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read to its end ({error}): get the file again.") from error


def suffix_of(path: Path) -> str:
    """The suffix that says what kind of file it is, without `.gz` behind it.

    >>> suffix_of(Path("train.jsonl.gz")), suffix_of(Path("train.parquet.gz"))
    ('.jsonl', '.gz')
    """
    inner = Path(path.stem).suffix
    return inner if path.suffix == PACKED and inner in READERS and inner != ".parquet" else path.suffix


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
