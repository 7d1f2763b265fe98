"""Other data for a row's tables, so that a query which is right by chance on one database is wrong on another.

A variant keeps every table, column and type, and every key: its rows come in another order, and the values of a column
change places. Half of a number column's values become a number in the right query, or one beside it, so that `>` and
`>=` part; some rows are left out. No kind of value that a column does not have already comes in: a NULL only where
there is one.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from rrr_sqlite.database import Table, Value

VARIANTS = 6
"""Databases on which a query is judged besides the row's own."""
NUMBER = re.compile(r"(?<![\w.])\d{1,15}(?:\.\d{1,9})?(?![\w.])")
LEFT_OUT = 0.25
"""Share of the rows that half of the variants do without."""


def variants(tables: Sequence[Table], gold: str, count: int = VARIANTS) -> Iterator[list[Table]]:
    """Other data for the tables; the same each time for the same tables and right query."""
    rng = random.Random(f"{gold}\n{[(table.name, list(table.columns), table.rows) for table in tables]}")
    numbers = [float(text) if "." in text else int(text) for text in NUMBER.findall(gold)]
    shared = Counter(name.lower() for table in tables for name in table.columns)
    for index in range(count):
        yield [_other(table, shared, numbers, index % 2 == 1, rng) for table in tables]


def is_key(name: str, kind: str, shared: Counter[str]) -> bool:
    """Whether a column holds a row's identity or another's: declared so, or named in two tables."""
    return bool(re.search(r"PRIMARY|UNIQUE|REFERENCES", kind, re.IGNORECASE)) or shared[name.lower()] > 1


def _other(table: Table, shared: Counter[str], numbers: Sequence[float], is_shorter: bool, rng: random.Random) -> Table:
    columns = [list(values) for values in itertools.zip_longest(*table.rows)] if table.rows else []
    for (name, kind), values in zip(table.columns.items(), columns, strict=False):
        if is_key(name, kind, shared) and not (shared[name.lower()] > 1 and len(set(values)) < len(values)):
            continue
        rng.shuffle(values)
        if not is_key(name, kind, shared) and numbers and any(_is_number(value) for value in values):
            places = [place for place, value in enumerate(values) if _is_number(value)]
            rng.shuffle(places)
            near = [number + beside for number in numbers for beside in (0, -1, 1)]
            for place, value in zip(places[: len(places) // 2 + 1], itertools.cycle(near), strict=False):
                values[place] = value
    rows: list[Sequence[Value]] = [list(values) for values in zip(*columns, strict=True)]
    rng.shuffle(rows)
    if is_shorter and len(rows) > 2 and not any(shared[name.lower()] > 1 for name in table.columns):
        rows = [row for row in rows if rng.random() >= LEFT_OUT] or rows[:1]
    return Table(table.name, table.columns, rows)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float)
