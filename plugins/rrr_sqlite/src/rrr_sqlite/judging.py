"""The verdict on a query: its results on the row's database and on variants of it, beside the right query's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rrr_core import Verdict, failed, passed
from rrr_sqlite.actions import cell
from rrr_sqlite.database import NOT_ALLOWED, SQL_ERROR, TOO_COSTLY, Refused, Result, Rows, Table, opened, run, tables_of
from rrr_sqlite.results import COLUMNS, ORDER, ROWS, difference
from rrr_sqlite.variants import variants

BY_CHANCE = "right by chance"
CATEGORIES = (SQL_ERROR, NOT_ALLOWED, TOO_COSTLY, COLUMNS, ROWS, ORDER, BY_CHANCE)


class BadRow(ValueError):
    """The row's own query does not run: the row's fault, and no answer's."""


def verify(row: Mapping[str, Any], answer: str) -> Verdict:
    """Judge the query that a course ended with. Raises BadRow for a row whose own query fails."""
    tables = tables_of(row)
    own = _compared(row, tables, answer)
    if own is not None:
        return own
    for variant in variants(tables, row["gold"]):
        other = _compared(row, variant, answer)
        if other is not None:
            return failed(BY_CHANCE, f"right on the row's data, on other data {other.category}: {other.detail}")
    return passed()


def _compared(row: Mapping[str, Any], tables: Sequence[Table], answer: str) -> Verdict | None:
    """The failing verdict on a query for these tables, or None if its result is the right one."""
    with opened(tables) as connection:
        wanted = _own(run(connection, row["gold"]), row["gold"])
        keys = _own(run(connection, row["order_keys"]), row["order_keys"]).rows if row.get("order_keys") else None
        given = run(connection, answer)
    if keys is not None and len(keys) != len(wanted.rows):
        raise BadRow(f"{row['order_keys']!r} has {len(keys)} rows, and {row['gold']!r} has {len(wanted.rows)}")
    if isinstance(given, Refused):
        return failed(given.category, given.detail)
    if len(given.columns) != len(wanted.columns):
        return failed(COLUMNS, f"{len(given.columns)} columns, not {len(wanted.columns)}")
    category = difference(given.rows, wanted.rows, keys)
    return failed(category, f"{_brief(given.rows)}, not {_brief(wanted.rows)}") if category else None


def _own(result: Result | Refused, sql: str) -> Result:
    if isinstance(result, Refused):
        raise BadRow(f"the row's own query {sql!r}: {result.category}, {result.detail}")
    return result


def _brief(rows: Rows) -> str:
    """A result in a few words."""
    if len(rows) == 1:
        return "|".join(map(cell, rows[0]))[:100]
    return f"{len(rows)} rows" + (f" from {'|'.join(map(cell, rows[0]))[:60]}" if rows else "")
