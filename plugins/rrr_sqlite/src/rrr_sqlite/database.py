"""A row's database in memory, and one query on it: read only, and within limits of work, memory and size.

SQLite compiles a query before it runs it, and asks for each thing that the query does whether it may. Only what is
listed here may be done: reading the row's tables, and functions that are pure. Everything else is refused before
anything runs.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rrr_core.limits import LimitReached, query_limit

Value: TypeAlias = int | float | str | bytes | None
Rows: TypeAlias = list[tuple[Value, ...]]

NOT_ALLOWED = "not allowed"
SQL_ERROR = "sql error"
TOO_COSTLY = "too costly"

MOST_STEPS = 200_000
"""Instructions of SQLite's virtual machine that one query may take: some milliseconds."""
MOST_SECONDS = 0.5
"""CPU seconds of one query: few instructions can be slow ones, such as `trim` of a long text by many characters."""
MOST_ROWS = 1_000
"""Rows of a result."""
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 4_096,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 2_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 64,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 60,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 8,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 20_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 16,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 60,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
"""SQLite's own limits, in bytes or counts, while a query is compiled and run."""
FUNCTIONS = frozenset(
    re.findall(
        r"\w+",
        "abs avg coalesce count cume_dist dense_rank first_value glob group_concat if ifnull iif instr lag "
        "last_value lead length like lower ltrim max min nth_value ntile nullif percent_rank rank replace "
        "round row_number rtrim sign string_agg substr substring sum total trim typeof upper",
    )
)
"""The functions that a query may call. They give the same on every day and in every order of calls."""
QUERIES = ("select", "with", "values")
"""The words that a query begins with. A look may begin with `pragma` as well."""
COMMENT = re.compile(r"(\s+|--[^\n]*(\n|$)|/\*(?s:.)*?\*/|;)*")
PRAGMAS = frozenset({"table_info", "table_xinfo", "foreign_key_list"})
"""The pragmas that only describe a table."""
CATALOGUES = frozenset({"sqlite_master", "sqlite_schema"})
"""What may be read besides the row's tables: the descriptions of them."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table and its rows."""

    name: str
    columns: Mapping[str, str]
    """Declared types by name."""
    rows: Sequence[Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Refused:
    """What came of a query that gave no result."""

    category: str
    """`sql error`, `not allowed` or `too costly`."""
    detail: str


@dataclass(frozen=True, slots=True)
class Result:
    """The rows of a query, in the order given."""

    columns: tuple[str, ...]
    rows: Rows


def tables_of(row: Mapping[str, Any]) -> list[Table]:
    """The tables of a task's row."""
    return [Table(each["name"], each["columns"], each["rows"]) for each in row["tables"]]


@contextlib.contextmanager
def opened(tables: Sequence[Table]) -> Iterator[sqlite3.Connection]:
    """A database in memory that holds the tables and can only be read. Raises sqlite3.Error for tables it cannot."""
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0)
    try:
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA trusted_schema=OFF")
        for table in tables:
            columns = ", ".join(f"{quoted(name)} {kind}".rstrip() for name, kind in table.columns.items())
            connection.execute(f"CREATE TABLE {quoted(table.name)} ({columns})")
            places = ", ".join("?" * len(table.columns))
            connection.executemany(f"INSERT INTO {quoted(table.name)} VALUES ({places})", table.rows)  # noqa: S608 - quoted
        for limit, most in LIMITS.items():
            connection.setlimit(limit, most)
        connection.execute("PRAGMA query_only=ON")
        connection.set_authorizer(_only_reading(frozenset(table.name.lower() for table in tables)))
        yield connection
    finally:
        connection.close()


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _only_reading(names: frozenset[str]) -> Any:
    readable = names | CATALOGUES

    def authorize(action: int, first: str | None, second: str | None, _database: str | None, _by: str | None) -> int:
        if action == sqlite3.SQLITE_SELECT:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            # An inner query has no name of its own, and what it reads is asked about by itself.
            return sqlite3.SQLITE_OK if not first or first.lower() in readable else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_FUNCTION:
            return sqlite3.SQLITE_OK if (second or "").lower() in FUNCTIONS else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_PRAGMA:
            return sqlite3.SQLITE_OK if (first or "").lower() in PRAGMAS and second else sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_DENY

    return authorize


def run(connection: sqlite3.Connection, sql: str, beginnings: Sequence[str] = QUERIES) -> Result | Refused:
    """The result of one statement. Whatever the statement's fault is, it is refused in words, and never raises."""
    if not _begins(sql, beginnings):
        return Refused(NOT_ALLOWED, "only SELECT is")
    if "\0" in sql or not is_unicode(sql):
        return Refused(SQL_ERROR, "characters that SQL cannot hold")
    cursor = connection.cursor()
    try:
        with query_limit(connection, MOST_STEPS, MOST_SECONDS):
            cursor.execute(sql)
            if cursor.description is None:
                return Refused(SQL_ERROR, "not a query")
            rows = cursor.fetchmany(MOST_ROWS + 1)
    except LimitReached:
        return Refused(TOO_COSTLY, "too many steps")
    except MemoryError:
        return Refused(TOO_COSTLY, "out of memory")
    except (sqlite3.Error, sqlite3.Warning) as error:
        return _refused(error)
    finally:
        cursor.close()
    if len(rows) > MOST_ROWS:
        return Refused(TOO_COSTLY, f"more than {MOST_ROWS:,} rows")
    return Result(tuple(str(column[0]) for column in cursor.description or ()), rows)


def is_unicode(text: str) -> bool:
    """Whether a text is without halves of surrogate pairs, which no database holds."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _begins(sql: str, beginnings: Sequence[str]) -> bool:
    """Whether the first word of a statement, comments left out, is one of those."""
    before = COMMENT.match(sql)
    return sql[before.end() if before else 0 :].lower().startswith(tuple(beginnings))


def _refused(error: sqlite3.Error | sqlite3.Warning) -> Refused:
    """SQLite's error, in its words but for the ones that say little."""
    code = getattr(error, "sqlite_errorcode", None)
    text = str(error)
    if code == sqlite3.SQLITE_TOOBIG or isinstance(error, sqlite3.DataError):
        return Refused(TOO_COSTLY, text)
    if code == sqlite3.SQLITE_AUTH or "not authorized" in text or "prohibited" in text:
        return Refused(NOT_ALLOWED, text)
    return Refused(SQL_ERROR, text)
