"""Rows of a folder that `datasets.save_to_disk` wrote, of one data set or of a split each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, nearest
from rrr_core.row_files.hub import rows_of_table
from rrr_core.row_files.reading import PlacedRow, RowShape, require_columns, require_own_keys
from rrr_core.text import one_line

SPLITS_FILE = "dataset_dict.json"
"""What a folder with a folder for each split has."""
ONE_FILE = "state.json"
"""What the folder of one data set has."""


def is_saved(folder: Path) -> bool:
    """Whether `datasets.save_to_disk` wrote a folder."""
    return (folder / SPLITS_FILE).is_file() or is_one(folder)


def is_one(folder: Path) -> bool:
    """Whether `datasets.save_to_disk` wrote a folder of one data set, which has no splits."""
    return (folder / ONE_FILE).is_file() and (folder / "dataset_info.json").is_file()


def read_saved(folder: Path, shape: RowShape, split: str = "") -> Iterator[PlacedRow]:
    """The rows of one data set, or of one split. Raises DataError."""
    if not is_one(folder):
        folder = folder / _known_split(folder, split)
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise DataError(
            f"{folder}: reading a folder of datasets.save_to_disk needs the package {error.name!r}: "
            "pip install datasets (the extra rrr-core[train] has it), or give a JSON or Parquet file."
        ) from error
    try:
        # Without the format it was saved with, which may give tensors.
        table: Any = datasets.load_from_disk(str(folder)).with_format(None)
    except Exception as error:  # `datasets` and pyarrow raise errors that share no base class
        raise DataError(
            f"{folder}: cannot be loaded as a folder of datasets.save_to_disk ({type(error).__name__}: "
            f"{one_line(error, 200)}): save it again."
        ) from error
    require_columns(table.column_names, shape.columns, str(folder))
    require_own_keys(table.features, shape, str(folder))
    return rows_of_table(table, str(folder), shape)


def _known_split(folder: Path, split: str) -> str:
    """The split, if the folder has it."""
    try:
        splits = json.loads((folder / SPLITS_FILE).read_bytes())["splits"]
        known = [name for name in splits if isinstance(name, str)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / SPLITS_FILE}: does not list the splits: save the data set again.") from error
    if split not in known:
        there = ", ".join(ascii(name) for name in known[:8]) or "none"
        raise DataError(f"{folder}: no split {split!r}: it has {there}.{nearest(split, known)}")
    return split
