"""Local APIGen files: JSON lines, one JSON array, and Parquet, each malformed row blamed on its file and line."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from rrr_apigen import row_json
from rrr_apigen.row_shape import WANTED, RowError, checked, excerpt, names
from rrr_core.errors import DataError, nearest

PlacedRow: TypeAlias = tuple[str, dict[str, Any]]
"""Where a row stands, `rows.jsonl, line 7`, and the row."""

_SPACE = re.compile(r"[ \t\n\r]*")
"""The only white space that JSON knows."""


def load(path: Path, split: str = "") -> Iterator[PlacedRow]:
    """All rows of a file, or of the file of one split in a folder that has `train.SUFFIX` and `test.SUFFIX`.

    Raises DataError, here if the file cannot be used at all, and while iterating at the first malformed row.
    """
    return reader_of(path_in_folder(path, split) if path.is_dir() else path)


def path_in_folder(folder: Path, split: str) -> Path:
    """The file of a split in a folder."""
    found = sorted(path for path in folder.iterdir() if path.stem == split and path.suffix in READERS)
    if not found:
        present = ", ".join(ascii(path.name) for path in sorted(folder.iterdir())[:8]) or "nothing"
        raise DataError(
            f"{folder}: no file for the split {split!r}: wanted {split}.* of {WANTED_SUFFIXES}, found {present}."
        )
    if len(found) > 1:
        raise DataError(f"{folder}: more than one file for the split {split!r}: {', '.join(p.name for p in found)}.")
    return found[0]


def reader_of(path: Path) -> Iterator[PlacedRow]:
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


def read_json_lines(path: Path) -> Iterator[PlacedRow]:
    """One JSON object a line, in UTF-8; blank lines are passed over."""
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
            yield where, row_at(where, record)


def read_json_array(path: Path) -> Iterator[PlacedRow]:
    """One JSON array of objects, in UTF-8, as the published file is. Places in errors are the lines where rows start.

    The text is held whole (the published file has about 100 MB), its rows are decoded one at a time.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text.") from error
    position = after_space(text, 0)
    if not text.startswith("[", position):
        raise DataError(f"{path}: not one JSON array of rows. Name a file of one row a line .jsonl.")
    position = after_space(text, position + 1)
    line, counted, is_first = 1, 0, True
    while not text.startswith("]", position):
        if not is_first:
            if not text.startswith(",", position):
                raise DataError(f"{path}, line {line}: not JSON (wanted ',' or ']' after this row).")
            position = after_space(text, position + 1)
        is_first = False
        line += text.count("\n", counted, position)
        counted = position
        where = f"{path}, line {line}"
        try:
            record, position = row_json.decode_at(text, position)
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error}).") from error
        yield where, row_at(where, record)
        position = after_space(text, position)
    if after_space(text, position + 1) < len(text):
        raise DataError(f"{path}: more text after the array of rows.")


def after_space(text: str, position: int) -> int:
    """The first position from `position` on that holds no white space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def read_parquet(path: Path) -> Iterator[PlacedRow]:
    """A Parquet file's rows, a batch at a time. Places in errors are row numbers, counted from 1."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise DataError(
            f"{path}: reading Parquet needs the package 'pyarrow': pip install 'rrr-apigen[parquet]', "
            "or give JSON lines or a JSON array."
        ) from error
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            present = table.schema_arrow.names
            check_columns(present, str(path))
            columns = [*WANTED, *(name for name in present if name == "id")]
            for batch in table.iter_batches(columns=columns):
                for record in batch.to_pylist():
                    number += 1
                    where = f"{path}, row {number}"
                    check_text_columns(record, where)
                    yield where, row_at(where, record)
    except (pyarrow.ArrowException, OSError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(f"{path}: cannot be read as Parquet after row {number} ({reason}).") from error


def check_text_columns(record: dict[str, Any], where: str) -> None:
    """Raise DataError where a table holds calls as columns of its own instead of JSON in strings.

    In such a table every call has every other call's arguments, as null, so that the gold calls are lost.
    """
    for name in ("tools", "answers"):
        if not isinstance(record[name], str):
            raise DataError(
                f"{where}: {name!r} must be JSON in a string, for a table gives each call the arguments of all others; "
                f"but it is {excerpt(record[name])}."
            )


def check_columns(found: Collection[str], where: str) -> None:
    """Raise DataError if a wanted column is not there, naming those found, those wanted and the nearest."""
    for name in WANTED:
        if name not in found:
            wanted = f"{', '.join(map(repr, WANTED[:-1]))} and {WANTED[-1]!r}"
            raise DataError(
                f"{where}: no column {name!r}; found {names(found)}, wanted {wanted}.{nearest(name, found)}"
            )


def row_at(where: str, record: Any) -> dict[str, Any]:
    """The row in a record; a malformed one is blamed on its place."""
    if not isinstance(record, dict):
        raise DataError(f"{where}: a row must be a JSON object, but is {excerpt(record)}.")
    check_columns(record, where)
    try:
        return checked(record)
    except RowError as error:
        raise DataError(f"{where}: {error}.") from error


READERS: dict[str, Callable[[Path], Iterator[PlacedRow]]] = {
    ".jsonl": read_json_lines,
    ".json": read_json_array,
    ".parquet": read_parquet,
}
WANTED_SUFFIXES = ", ".join(list(READERS)[:-1]) + " or " + list(READERS)[-1]
