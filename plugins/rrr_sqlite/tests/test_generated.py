"""The seeded generator: what is asked follows from the query, splits are disjoint, the order is fixed."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations, islice
from typing import Any

import pytest
from rrr_sqlite.generated import COMPARISONS, SHAPES, SPLIT_SHARES, Recipe, draw_plan, generate, names, query, row_of
from rrr_sqlite.judging import verify
from rrr_sqlite.rows import load
from rrr_sqlite.warmup import measured

from rrr_core.errors import DataError


def rows(split: str, count: int = 300, **options: str) -> list[dict[str, Any]]:
    return list(islice(load(split, options), count))


def vocabulary(of: list[dict[str, Any]]) -> set[str]:
    """The names of tables and columns, without the two that every database has, and units."""
    found = set()
    for row in of:
        for table in row["tables"]:
            found |= {table["name"], *("_".join(name.split("_")[:2]) for name in table["columns"])}
    return found - {"id", "name"}


def test_the_same_seed_gives_the_same_rows_and_another_seed_gives_others() -> None:
    assert rows("train") == rows("train")
    assert rows("train") != rows("train", seed="1")


def test_no_table_and_no_column_is_in_two_splits_whatever_the_seed() -> None:
    used = {split: vocabulary(rows(split, 500) + rows(split, 500, seed="1")) for split in ("train", "test")}
    used["warmup"] = vocabulary(list(islice(generate("warmup", Recipe()), 1000)))
    assert set(used) == set(SPLIT_SHARES)
    for one, other in combinations(used.values(), 2):
        assert len(one) > 50
        assert not one & other


def test_the_words_of_the_names_are_known_to_warm_up_so_only_their_pairs_are_new() -> None:
    words = {
        split: {word for kind in names(split) for name in kind for word in name.split("_")} for split in SPLIT_SHARES
    }
    assert words["train"] <= words["warmup"]
    assert words["test"] <= words["warmup"]


def test_no_question_occurs_twice_and_every_shape_occurs_as_often_as_is_said() -> None:
    asked = [row["question"] for row in rows("train", 2000)]
    assert len(set(asked)) == len(asked)
    rng = random.Random(0)
    counts = Counter(draw_plan("train", Recipe(), rng).shape for _ in range(4000))
    assert sum(SHAPES.values()) == pytest.approx(1)
    for shape, share in SHAPES.items():
        assert abs(counts[shape] / 4000 - share) < 0.05


def test_only_the_shapes_that_are_asked_for_occur() -> None:
    assert {row["gold"].split(" FROM")[0] for row in rows("test", 50, shapes="count")} == {"SELECT count(*)"}
    with pytest.raises(DataError, match="must be some of count, list, ordered, joined"):
        rows("test", 1, shapes="count+sum")


def test_an_order_is_asked_for_where_there_are_keys_and_there_alone() -> None:
    for row in rows("test"):
        assert ("first?" in row["question"]) == ("order_keys" in row) == (" ORDER BY " in row["gold"])


def test_haste_and_slips_fail_on_every_row_and_the_right_query_passes() -> None:
    rng = random.Random(0)
    for _ in range(150):
        plan = draw_plan("test", Recipe(), rng)
        row = row_of(plan, "test", rng)
        other = next(each for each in measured(row) if each != plan.full_column)
        comparison = rng.choice([each for each in COMPARISONS if each != plan.comparison])
        assert verify(row, query(plan)).is_passed
        wrong = [query(plan, column=other), query(plan, comparison=comparison)]
        wrong += [query(plan, number=plan.count)] if plan.factor > 1 else []
        assert [sql for sql in wrong if verify(row, sql).is_passed] == []
