"""Rows made from a seed: a question, a small database, and the query that answers it.

What a question does not say is how its columns are called and in which unit they are: `net weight` is `net_weight_g` in
one database and `net_weight_kg` in the next. Only a look at the schema says so. No name of a table or of a column,
but `id` and `name`, is in two splits.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from rrr_core.row_files import bucket_of


def _words(text: str) -> list[str]:
    return text.split()


VERSION = 1
"""Of the generator: rows of another version differ, whatever the seed."""
SPLIT_SHARES = {"warmup": 60, "train": 24, "test": 16}
"""Percentages of the names that go to each split."""

OWNERS = _words(
    "shop home farm port club city mill park bank camp road lake hill yard dock east west north south union"
)
THINGS = _words("orders parcels trips crates tickets rooms boats trucks bags plans tools jobs visits pipes cables")
PEOPLE = _words("buyers drivers owners guests senders members pilots agents keepers tenants")
KINDS_OF = _words("net gross total last first mean base peak daily spare fixed final prior local extra usual")
KEYS = _words("id no key code")
QUANTITIES = {
    "weight": ("kg", "t"),
    "load": ("kg", "t"),
    "length": ("m", "km", "cm"),
    "height": ("m", "cm"),
    "width": ("m", "cm"),
    "range": ("km", "m"),
    "delay": ("h", "min"),
    "time": ("h", "min", "days"),
    "stay": ("days", "weeks"),
    "price": ("dollars",),
    "cost": ("dollars",),
    "fee": ("dollars",),
}
"""The units in which a question may give each quantity."""
UNITS = {
    "kg": {"g": 1000},
    "t": {"kg": 1000},
    "m": {"cm": 100, "mm": 1000},
    "km": {"m": 1000},
    "cm": {"mm": 10},
    "h": {"min": 60},
    "min": {"s": 60},
    "days": {"h": 24},
    "weeks": {"days": 7},
    "dollars": {"cents": 100},
}
"""The smaller units that a column may have instead, and how many of them make one."""
LATER_WORDS = tuple(
    dict.fromkeys((*THINGS, *PEOPLE, *KEYS, *QUANTITIES, *UNITS, *(x for u in UNITS.values() for x in u)))
)
"""Every word that follows a `_` in a name."""
SAME_UNIT = 0.2
"""Share of questions in the column's own unit."""
COMPARISONS = {"over": ">", "under": "<", "of at least": ">=", "of at most": "<="}
SHAPES = {"count": 0.35, "list": 0.25, "ordered": 0.2, "joined": 0.2}
"""Shares of what a question asks for."""
COUNTS = range(2, 10)
NAMES = _words("Ann Ben Cleo Dan Eva Finn Gus Hana Ivo Jana Kim Leo Mia Noa Oto Pia Rex Sam Tea Uma")
MOST_MISSES = 20_000
"""Consecutive draws without a new row after which a split counts as exhausted."""


@dataclass(frozen=True)
class Recipe:
    """What generated rows look like: `shapes` are those that occur, `seed` is the order of rows."""

    shapes: tuple[str, ...] = tuple(SHAPES)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a question asks, before it is put into words and SQL."""

    shape: str
    owner: str
    things: str
    column: str
    """Without its unit: `net_weight`."""
    unit: str
    """The column's: `g`."""
    comparison: str
    count: int
    asked_unit: str
    descending: bool = True
    people: str = ""
    key: str = ""
    """Of a joined question: the column that both tables have."""

    @property
    def table(self) -> str:
        return f"{self.owner}_{self.things}"

    @property
    def full_column(self) -> str:
        return f"{self.column}_{self.unit}"

    @property
    def factor(self) -> int:
        """How many of the column's units make one of the question's."""
        return 1 if self.unit == self.asked_unit else UNITS[self.asked_unit][self.unit]

    @property
    def threshold(self) -> int:
        return self.count * self.factor


def split_of(name: str) -> str:
    """The split of a table's or a column's name, a unit at its end left out: by its hash."""
    bucket = bucket_of(name)
    for split, share in SPLIT_SHARES.items():
        if bucket < share:
            return split
        bucket -= share
    raise AssertionError("the shares of the splits add up to 100")


@cache
def names(split: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The names of a split: tables of things, tables of people, measured columns without units, and key columns."""
    pairs = (
        itertools.product(OWNERS, THINGS),
        itertools.product(OWNERS, PEOPLE),
        itertools.product(KINDS_OF, QUANTITIES),
        itertools.product((people.removesuffix("s") for people in PEOPLE), KEYS),
    )
    tables, others, columns, keys = (
        tuple(name for pair in each if split_of(name := "_".join(pair)) == split) for each in pairs
    )
    return tables, others, columns, keys


def draw_plan(split: str, recipe: Recipe, rng: random.Random) -> Plan:
    """A question of a split."""
    tables, others, columns, keys = names(split)
    shape = rng.choices(recipe.shapes, weights=[SHAPES[each] for each in recipe.shapes])[0]
    owner, things = rng.choice(tables).split("_")
    column = rng.choice(columns)
    asked_unit = rng.choice(QUANTITIES[column.split("_")[1]])
    unit = asked_unit if rng.random() < SAME_UNIT else rng.choice(list(UNITS[asked_unit]))
    people = key = ""
    if shape == "joined":
        key = rng.choice(keys)
        people = rng.choice([name for name in others if name.split("_")[1] == key.split("_")[0] + "s"] or [""])
        if not people:
            return draw_plan(split, recipe, rng)
    comparison = rng.choice(list(COMPARISONS))
    count, descending = rng.choice(COUNTS), rng.random() < 0.5
    return Plan(shape, owner, things, column, unit, comparison, count, asked_unit, descending, people, key)


def question(plan: Plan) -> str:
    """A plan in words."""
    things, column = f"{plan.owner} {plan.things}", plan.column.replace("_", " ")
    condition = f"{article(column)} {column} {plan.comparison} {plan.count} {plan.asked_unit}"
    if plan.shape == "count":
        return f"How many {things} have {condition}?"
    if plan.shape == "joined":
        return f"Name the {plan.people.split('_')[1].removesuffix('s')} of each of the {things} with {condition}."
    order = f", {'highest' if plan.descending else 'lowest'} first" if plan.shape == "ordered" else ""
    return f"Which {things} have {condition}{order}?"


def article(words: str) -> str:
    """`a` or `an`, whichever the words need."""
    return "an" if words[0] in "aeiou" and not words.startswith("us") else "a"


def query(plan: Plan, column: str = "", number: int | None = None, comparison: str = "", select: str = "") -> str:
    """A plan in SQL, right unless another column, number, comparison or selection is given."""
    column = column or plan.full_column
    number = plan.threshold if number is None else number
    selected = select or ("count(*)" if plan.shape == "count" else "name")
    joined = f" JOIN {plan.people} USING({plan.key})" if plan.shape == "joined" else ""
    order = f" ORDER BY {column}{' DESC' if plan.descending else ''}" if plan.shape == "ordered" else ""
    sign = COMPARISONS[comparison or plan.comparison]
    return f"SELECT {selected} FROM {plan.table}{joined} WHERE {column}{sign}{number}{order}"  # noqa: S608 - text, run read only


def other_column(plan: Plan, split: str, rng: random.Random) -> tuple[str, str]:
    """Another measured column of the same table, and its unit; it shares a word with the one asked for if one does."""
    kind, quantity = plan.column.split("_")
    others = [each for each in names(split)[2] if each != plan.column]
    near = [each for each in others if each.startswith(f"{kind}_") or each.endswith(f"_{quantity}")]
    column = rng.choice(near or others)
    large = rng.choice(QUANTITIES[column.split("_")[1]])
    return column, rng.choice([large, *UNITS[large]])


def database(plan: Plan, split: str, rng: random.Random) -> list[dict[str, Any]]:
    """The tables of a plan, the one that is asked about first."""
    column, unit = other_column(plan, split, rng)
    measured = [plan.full_column, f"{column}_{unit}"]
    rng.shuffle(measured)
    size = rng.randint(7, 10)
    below = rng.sample(range(1, plan.count), min(plan.count - 1, rng.randint(2, 4)))
    multiples = below + rng.sample(range(plan.count + 1, plan.count + 9), size - 1 - len(below))
    jitter = max(1, plan.factor // 4)
    values = [plan.threshold] + [each * plan.factor + rng.randrange(jitter) for each in multiples]
    rng.shuffle(values)
    is_joined = plan.shape == "joined"
    columns = {"id": "INTEGER PRIMARY KEY"} | ({plan.key: "INTEGER"} if is_joined else {"name": "TEXT"})
    columns |= dict.fromkeys(measured, "INTEGER")
    people = rng.sample(range(11, 99), 5)
    tags = rng.sample(NAMES, size - 1)
    tags.append(rng.choice(tags))
    rows: list[list[Any]] = []
    for number, value in enumerate(values, 1):
        by_name = {"id": number, plan.key: rng.choice(people), "name": tags[number - 1], plan.full_column: value}
        rows.append([by_name.get(each, rng.randrange(2, 20 * plan.threshold)) for each in columns])
    made = [{"name": plan.table, "columns": columns, "rows": rows}]
    if is_joined:
        owners = [[each, name] for each, name in zip(people, rng.sample(NAMES, 5), strict=True)]
        made.append({"name": plan.people, "columns": {plan.key: "INTEGER", "name": "TEXT"}, "rows": owners})
    return made


def row_of(plan: Plan, split: str, rng: random.Random) -> dict[str, Any]:
    """A plan as a row, with a database drawn for it."""
    row = {"question": question(plan), "tables": database(plan, split, rng), "gold": query(plan)}
    if plan.shape == "ordered":
        row["order_keys"] = query(plan, select=plan.full_column)
    return row


def generate(split: str, recipe: Recipe) -> Iterator[dict[str, Any]]:
    """Rows `{"question", "tables", "gold"}` of one split, no question twice, in a fixed order.

    Ends when the split's questions are nearly exhausted.
    """
    rng = random.Random(f"{recipe.seed}/{split}/{','.join(recipe.shapes)}")
    seen: set[str] = set()
    misses = 0
    while misses < MOST_MISSES:
        misses += 1
        plan = draw_plan(split, recipe, rng)
        asked = question(plan)
        if asked in seen:
            continue
        seen.add(asked)
        misses = 0
        yield row_of(plan, split, rng)
