"""Rows from a file or a folder: which file of a folder holds a split.

A folder holds `train.SUFFIX` and `test.SUFFIX`, or several parts of each as the hub names them
(`train-00000-of-00002.parquet`), in itself or in its folder `data`; or it is what `datasets.save_to_disk` has written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rrr_core.errors import DataError, nearest
from rrr_core.row_files.reading import PACKED, READERS, WANTED_SUFFIXES, PlacedRow, RowShape, suffix_of
from rrr_core.row_files.saved import is_saved, read_saved

_PART = re.compile(r"(.+)-([0-9]{5})-of-([0-9]{5})")
"""The name of one part of a split, as the hub's data sets have it."""


def read_rows(path: Path, shape: RowShape, split: str = "") -> Iterator[PlacedRow]:
    """All rows of a file, or of one split's files in a folder, lazily and in the files' order.

    A folder that `datasets.save_to_disk` wrote of one data set is read whole, like a file. Raises DataError: at once if
    the file cannot be used at all, and while iterating at the first malformed row.
    """
    if path.is_dir():
        if is_saved(path):
            return read_saved(path, shape, split)
        paths = paths_in_folder(path, split)
    else:
        paths = [path]
    for each in paths:
        _require_readable(each)
    return (placed for each in paths for placed in READERS[suffix_of(each)](each, shape))


def path_in_folder(folder: Path, split: str) -> Path:
    """The file of a folder that holds a split. Raises DataError if there is none, or more than one."""
    paths = paths_in_folder(folder, split)
    if len(paths) > 1:
        raise _several(folder, split, paths)
    return paths[0]


def paths_in_folder(folder: Path, split: str) -> list[Path]:
    """The file of a folder that holds a split, or its parts in order. Raises DataError if there is none, if several
    files claim to be the split, and if a part is missing."""
    present = sorted(path for path in folder.iterdir() if suffix_of(path) in READERS)
    if not present and (folder / "data").is_dir():
        return paths_in_folder(folder / "data", split)
    found = [path for path in present if _stem(path) == split]
    parts = [path for path in present if (match := _PART.fullmatch(_stem(path))) and match[1] == split]
    if len(found) > 1 or (found and parts):
        raise _several(folder, split, found + parts)
    if parts:
        _require_all(folder, parts)
    if not found and not parts:
        names = ", ".join(ascii(path.name) for path in sorted(folder.iterdir())[:8]) or "nothing"
        raise DataError(
            f"{folder}: no file for the split {split!r}: wanted {split}.* of {WANTED_SUFFIXES}, found {names}."
        )
    return found or parts


def _stem(path: Path) -> str:
    """A file's name without its suffixes.

    >>> _stem(Path("data/train.jsonl.gz")), _stem(Path("train-00000-of-00002.parquet"))
    ('train', 'train-00000-of-00002')
    """
    return path.name.removesuffix(PACKED).removesuffix(suffix_of(path))


def _require_all(folder: Path, parts: list[Path]) -> None:
    """Raise DataError if these are not all parts of a split, each once."""
    counts = {stem.rpartition("-of-")[2] for stem in map(_stem, parts)}
    split = _stem(parts[0]).partition("-")[0]
    if len(counts) > 1:
        raise _several(folder, split, parts)
    count = int(counts.pop())
    numbers = [int(_stem(path).rpartition("-of-")[0].rpartition("-")[2]) for path in parts]
    if numbers != list(range(count)):
        missing = sorted(set(range(count)) - set(numbers))
        what = f"part {missing[0]} is missing" if missing else "a part is there more than once"
        raise DataError(f"{folder}: the split {split!r} has {count} parts, and {what}: get the files again.")


def _several(folder: Path, split: str, paths: list[Path]) -> DataError:
    names = ", ".join(path.name for path in paths[:8])
    return DataError(f"{folder}: more than one file for the split {split!r}: {names}.")


def _require_readable(path: Path) -> None:
    if suffix_of(path) not in READERS:
        raise DataError(f"{path}: a file of rows must end in {WANTED_SUFFIXES}.{nearest(path.suffix, READERS)}")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path}: {error.strerror}.{nearest(path.name, siblings)}") from error
