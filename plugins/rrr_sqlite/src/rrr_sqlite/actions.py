"""What the model's actions are, and what each leads to: a look at the schema, a query's result, or the end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rrr_core import Step, final, observed
from rrr_sqlite.database import QUERIES, Refused, Result, Table, Value, opened, run, tables_of

HELP = "Write schema, sql: SELECT ..., or answer: SELECT ..."
"""What an action of no known form leads to."""
MOST_SHOWN = 5
"""Rows of a result that the model is shown."""
CELL = 200
"""Characters of a cell that the model is shown."""
MOST_COLUMNS = 12
MOST_TEXT = 1_000
"""Characters of an observation."""
LONGEST = 20_000
"""Characters of an action; a longer one has no known form."""

ACTION = re.compile(
    r"^(?![ \t]*```)[ \t>*`]*(schema|sql|answer)\b[ \t*`]*(:|(?=$))[ \t*]*(.*)$", re.IGNORECASE | re.MULTILINE
)
FENCE = re.compile(r"^[ \t]*```[a-z]*[ \t]*$", re.IGNORECASE | re.MULTILINE)


def parsed(action: str) -> tuple[str, str]:
    """The kind of an action, `schema`, `sql` or `answer`, and its SQL; both empty if it has no known form.

    The last line that begins with a kind counts, and the SQL goes on to the next blank line, fence or end.

    >>> parsed("I look first.\\nsql: SELECT name\\nFROM orders")
    ('sql', 'SELECT name\\nFROM orders')
    """
    if len(action) > LONGEST:
        return "", ""
    every = list(ACTION.finditer(action.replace("\r\n", "\n")))
    if not every:
        return "", ""
    found = every[-1]
    kind = found[1].lower()
    if kind == "schema":
        return kind, ""
    if not found[2]:
        return "", ""
    rest = found.string[found.start(3) :].lstrip()
    if opening := FENCE.match(rest):
        rest = rest[opening.end() :].lstrip()
    return kind, re.split(r"\n[ \t]*\n|```", rest)[0].strip(" \t\n`")


def step(row: Mapping[str, Any], action: str) -> Step:
    """What an action leads to. Nothing needs to be remembered between steps."""
    kind, sql = parsed(action)
    if kind == "answer":
        return final(sql.encode(errors="replace").decode() or "-")
    if kind == "schema":
        return observed(schema(tables_of(row)))
    if not sql:
        return observed(HELP)
    with opened(tables_of(row)) as connection:
        return observed(shown(run(connection, sql, (*QUERIES, "pragma"))))


def final_answer(text: str) -> str | None:
    """The query in a text that ends a course, or None if it has none.

    >>> final_answer("Now I know.\nanswer: SELECT 1")
    'SELECT 1'
    """
    kind, sql = parsed(text)
    return sql if kind == "answer" and sql else None


def schema(tables: list[Table]) -> str:
    """The tables with their columns, one a line.

    >>> schema([Table("shop_orders", {"id": "INTEGER", "net_weight_g": "INTEGER"}, [])])
    'shop_orders(id,net_weight_g)'
    """
    return "\n".join(f"{table.name}({','.join(table.columns)})" for table in tables)[:MOST_TEXT]


def shown(result: Result | Refused) -> str:
    """A result as a small table without heads, or the error in a line."""
    if isinstance(result, Refused):
        return f"Error: {' '.join(result.detail.split())}"[:CELL]
    if not result.rows:
        return "no rows"
    lines = ["|".join(map(cell, values[:MOST_COLUMNS])) for values in result.rows[:MOST_SHOWN]]
    if more := len(result.rows) - MOST_SHOWN:
        lines += [f"and {more} more"] if more > 0 else []
    return "\n".join(lines)[:MOST_TEXT]


def cell(value: Value) -> str:
    """A value in a line, cut short; a blank text is `''`."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value[:CELL].hex()}'"[:CELL]
    text = str(value) if not isinstance(value, str) else " ".join(value.split()) or "''"
    return text if len(text) <= CELL else f"{text[: CELL - 3]}..."
