"""Validation of a row from outside, and its form in files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rrr_core.row_files import Record, RowError, RowShape, decode_json, excerpt, names
from rrr_sqlite.database import is_unicode

WANTED = ("question", "tables", "gold")
ORDER_KEYS = "order_keys"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
DECLARED = re.compile(
    r"(INTEGER|INT|REAL|NUMERIC|TEXT|BLOB)?( PRIMARY KEY| UNIQUE| NOT NULL| REFERENCES [A-Za-z_][A-Za-z0-9_]{0,62})*",
    re.IGNORECASE,
)
MOST_TABLES, MOST_COLUMNS, MOST_ROWS = 16, 40, 500
LONGEST_TEXT = 2_000
LARGEST = 2**63


def checked(record: Mapping[str, Any]) -> dict[str, Any]:
    """The row in a record that has the required columns; other columns are dropped. Raises RowError."""
    for name in ("question", "gold", ORDER_KEYS):
        value = record.get(name)
        if (name in WANTED or value is not None) and (
            not isinstance(value, str) or not value.strip() or not is_unicode(value)
        ):
            raise RowError(f"{name!r} must be a text, but is {excerpt(value)}")
    tables = record["tables"]
    if not isinstance(tables, list) or not 0 < len(tables) <= MOST_TABLES:
        raise RowError(f"'tables' must be a list of 1 to {MOST_TABLES} tables, but is {excerpt(tables)}")
    row = {"question": record["question"], "tables": [_table(table) for table in tables], "gold": record["gold"]}
    if len({table["name"].lower() for table in row["tables"]}) < len(tables):
        raise RowError("'tables' has a name twice")
    return row | ({ORDER_KEYS: record[ORDER_KEYS]} if record.get(ORDER_KEYS) else {})


def _table(table: Any) -> dict[str, Any]:
    if not isinstance(table, dict) or set(table) != {"name", "columns", "rows"}:
        raise RowError(f"a table must have name, columns and rows, but is {excerpt(table)}")
    name, columns, rows = table["name"], table["columns"], table["rows"]
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.lower().startswith("sqlite_"):
        raise RowError(f"a table's name must be letters, digits and _, but is {excerpt(name)}")
    if not isinstance(columns, dict) or not 0 < len(columns) <= MOST_COLUMNS:
        raise RowError(f"the columns of {name} must map 1 to {MOST_COLUMNS} names to types, but are {excerpt(columns)}")
    if len({str(column).lower() for column in columns}) < len(columns):
        raise RowError(f"{name} has a column twice")
    for column, kind in columns.items():
        if not NAME.fullmatch(column) or not isinstance(kind, str) or not DECLARED.fullmatch(kind):
            raise RowError(f"a column of {name} must be a name with a type, but is {excerpt({column: kind})}")
    if not isinstance(rows, list) or len(rows) > MOST_ROWS:
        raise RowError(f"the rows of {name} must be a list of at most {MOST_ROWS}, but are {excerpt(rows)}")
    for values in rows:
        if not isinstance(values, list) or len(values) != len(columns) or not all(map(_is_value, values)):
            raise RowError(
                f"a row of {name} must have {len(columns)} numbers, texts or nulls, but is {excerpt(values)}"
            )
    return {"name": name, "columns": dict(columns), "rows": [list(values) for values in rows]}


def _is_value(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -LARGEST <= value < LARGEST
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return value is None or (isinstance(value, str) and len(value) <= LONGEST_TEXT and is_unicode(value))


def own_row(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row in any record, which is the record itself if it has no other columns. Raises RowError."""
    for name in WANTED:
        if name not in record:
            raise RowError(f"the row has no {name!r}, but {names(record)}")
    row = checked(record)
    return record if len(record) == len(row) else row


def from_text(record: Record) -> Record:
    """A record of a table of texts, in which the tables are JSON."""
    if not isinstance(record["tables"], str):
        return record
    try:
        return {**record, "tables": decode_json(record["tables"])}
    except ValueError:
        return record


SHAPE = RowShape(WANTED, checked, from_csv=from_text, from_table=from_text)
"""The task's rows in files."""
