"""Local Countdown files, of every kind that `rrr_core.row_files` reads.

A folder holds its own split, as `train.SUFFIX` and `test.SUFFIX`. A single file is split by the content of its rows:
those that `generated.split_of` assigns to `test` (10 of 100) are the test rows, all others the training rows. Equal
rows are therefore never in both splits, and the embedded model was not warmed up on any test row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rrr_core.row_files import PlacedRow, Record, RowShape, decode_json
from rrr_countdown.generated import split_of
from rrr_countdown.row_check import WANTED, checked


def of_split(rows: Iterator[PlacedRow], split: str, *, whole: bool) -> Iterator[dict[str, Any]]:
    """The rows of `train` or `test` among rows from files; all of them if `whole`, which are one split already."""
    for _, row in rows:
        if whole or (split_of(row["nums"], row["target"]) == "test") == (split == "test"):
            yield row


def from_csv(record: Record) -> Record:
    """A record of numbers. `nums` are JSON (`"[44, 19, 35]"`) or numbers separated by spaces (`44 19 35`)."""
    return {"nums": csv_numbers(record["nums"]), "target": csv_integer(record["target"])}


def csv_numbers(text: str) -> Any:
    """The list in a CSV field, or the text itself if it holds none."""
    if text.lstrip().startswith("["):
        try:
            return decode_json(text)
        except ValueError:
            return text
    return [csv_integer(word) for word in text.split()] or text


def csv_integer(text: str) -> int | str:
    """The integer in a CSV field, or the text itself if it holds none."""
    digits = text.strip().removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else text


SHAPE = RowShape(WANTED, checked, from_csv=from_csv)
"""Countdown's rows in files."""
