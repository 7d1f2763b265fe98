"""Validation of a Countdown row from outside: `{"nums": [44, 19, 35], "target": 98}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_core.row_files import RowError, excerpt, names

WANTED = ("nums", "target")
MOST_NUMBERS = 100
MOST_DIGITS = 18


def checked(record: Mapping[str, Any]) -> dict[str, Any]:
    """The row in a record that has the required columns; other columns are dropped. Raises RowError."""
    nums, target = record["nums"], record["target"]
    if not isinstance(nums, list) or not nums:
        raise RowError(f"'nums' must be a list of whole numbers, but is {excerpt(nums)}")
    if len(nums) > MOST_NUMBERS:
        raise RowError(f"'nums' has {len(nums)} numbers, more than {MOST_NUMBERS}")
    for n in nums:
        if not is_whole(n) or n < 0:
            raise RowError(f"'nums' must hold whole numbers of zero or more, but holds {excerpt(n)}")
    if not is_whole(target):
        raise RowError(f"'target' must be a whole number, but is {excerpt(target)}")
    return {"nums": list(nums), "target": target}


def own_row(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row in any record, which is the record itself if it has no other columns. Raises RowError."""
    for name in WANTED:
        if name not in record:
            raise RowError(f"the row has no {name!r}, but {names(record)}")
    row = checked(record)
    return record if len(record) == len(row) else row


def is_whole(value: Any) -> bool:
    """Whether a value is an int (not a bool) of at most 18 digits."""
    return type(value) is int and abs(value) < 10**MOST_DIGITS
