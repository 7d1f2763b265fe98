"""Whether two results are the same, as VERDICT.md lays it down."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rrr_sqlite.database import Rows, Value

SLACK = 1e-9
"""By how much two reals may differ, as a share of the larger: sums in another order differ by less."""

COLUMNS = "wrong columns"
ROWS = "wrong rows"
ORDER = "wrong order"


def same_value(given: Value, wanted: Value) -> bool:
    """Numbers by their value, everything else exactly and by kind.

    >>> same_value(3, 3.0), same_value("3", 3), same_value("a", "A"), same_value(None, None), same_value(None, 0)
    (True, False, False, True, False)
    """
    if isinstance(given, int | float) and isinstance(wanted, int | float):
        if isinstance(given, int) and isinstance(wanted, int):
            return given == wanted
        return given == wanted or math.isclose(given, wanted, rel_tol=SLACK, abs_tol=0.0)
    return type(given) is type(wanted) and given == wanted


def same_row(given: Sequence[Value], wanted: Sequence[Value]) -> bool:
    """Value by value."""
    return len(given) == len(wanted) and all(map(same_value, given, wanted))


def same_rows(given: Rows, wanted: Rows) -> bool:
    """In any order, each as often."""
    if len(given) != len(wanted):
        return False
    return all(map(same_row, sorted(given, key=_place), sorted(wanted, key=_place)))


def difference(given: Rows, wanted: Rows, keys: Rows | None) -> str:
    """The class of the first difference; empty if there is none. Column counts have been compared before.

    `keys` has what the question orders by, of each wanted row; rows of equal keys may come in any order. None if the
    question asks for no order.
    """
    if not same_rows(given, wanted):
        return ROWS
    start = 0
    for end in _ends(keys) if keys is not None else ():
        if not same_rows(given[start:end], wanted[start:end]):
            return ORDER
        start = end
    return ""


def _ends(keys: Rows) -> list[int]:
    """Where each run of equal keys ends."""
    return [
        place for place in range(1, len(keys) + 1) if place == len(keys) or not same_row(keys[place - 1], keys[place])
    ]


def _place(row: Sequence[Value]) -> tuple[list[tuple[int, float, str]], list[int | float]]:
    """A row's place in a fixed order, in which rows that are the same are side by side.

    Numbers count rounded at first, so that a difference within the slack does not outweigh the columns that follow.
    """
    return [_value_place(value) for value in row], [value for value in row if isinstance(value, int | float)]


def _value_place(value: Value) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, float(f"{value:.7g}"), ""
    return (2, 0.0, value) if isinstance(value, str) else (3, 0.0, value.hex())
