"""The seeded generator: solvable rows, disjoint splits, a fixed order."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rrr_countdown.generated import SPLIT_SHARES, Recipe, generate, split_of
from rrr_countdown.gold import gold_answer


def content(row):
    return (*sorted(row["nums"]), row["target"])


def rows(split, count=500, recipe=None):
    return list(islice(generate(split, recipe or Recipe()), count))


def test_the_same_seed_gives_the_same_rows_and_another_seed_gives_others():
    assert rows("train") == rows("train")
    assert rows("train") != rows("train", recipe=Recipe(seed=1))


def test_no_row_is_in_two_splits_whatever_the_seeds():
    seen = {
        split: {content(row) for seed in range(3) for row in rows(split, recipe=Recipe(seed=seed))}
        for split in SPLIT_SHARES
    }
    assert not seen["warmup"] & seen["train"]
    assert not seen["warmup"] & seen["test"]
    assert not seen["train"] & seen["test"]


@given(st.lists(st.integers(0, 99), min_size=1, max_size=6), st.integers(0, 999), st.randoms())
def test_the_split_of_a_row_does_not_depend_on_the_order_of_its_numbers(nums, target, rng):
    shuffled = list(nums)
    rng.shuffle(shuffled)
    assert split_of(nums, target) == split_of(shuffled, target)


def test_no_row_occurs_twice():
    drawn = rows("train", 3_000)
    assert len({content(row) for row in drawn}) == len(drawn)


@pytest.mark.parametrize("operators", ["+-", "*", "+-*/", "/"])
def test_every_row_is_solvable_and_follows_its_recipe(operators):
    recipe = Recipe((2, 4), 12, operators, 5)
    for row in rows("train", 60, recipe):
        assert 2 <= len(row["nums"]) <= 4
        assert all(1 <= n <= 12 for n in row["nums"])
        assert 0 < row["target"] <= 999
        assert gold_answer(tuple(row["nums"]), row["target"]) is not None


def test_a_recipe_with_few_rows_ends():
    assert 0 < len(list(generate("train", Recipe((2, 2), 5, "+")))) < 30
