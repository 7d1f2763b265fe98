"""Right answers found by search."""

import time
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rrr_countdown.equations import verify
from rrr_countdown.generated import Recipe, generate
from rrr_countdown.gold import gold_answer


def test_the_simplest_answer_is_given():
    assert gold_answer((44, 19, 35), 28) == "<answer>44+19-35</answer>"
    assert gold_answer((44, 19, 35), 60) == "<answer>44+35-19</answer>"


@pytest.mark.parametrize("numbers", [3, 4, 5])
def test_every_generated_row_gets_an_answer_that_passes(numbers):
    for row in islice(generate("test", Recipe((numbers, numbers), 50, "+-*/", 7)), 20):
        answer = gold_answer(tuple(row["nums"]), row["target"])
        assert answer is not None
        assert verify(row, answer).is_passed


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=5), st.integers(-50, 200))
def test_an_answer_that_is_given_always_passes(nums, target):
    answer = gold_answer(tuple(nums), target)
    if answer is not None:
        assert verify({"nums": nums, "target": target}, answer).is_passed


@pytest.mark.parametrize(
    ("nums", "target"),
    [((3, 3, 8, 8), 24), ((1, 3, 4, 6), 24), ((1, 5, 5, 5), 24), ((0, 7, 11, 13), 0), ((2, 4, 8, 0, 16), 0)],
)
def test_answers_that_need_fractions_or_a_zero_are_found(nums, target):
    assert verify({"nums": list(nums), "target": target}, gold_answer(nums, target)).is_passed


def test_an_unsolvable_row_has_no_answer():
    assert gold_answer((1, 1, 1), 50) is None
    assert gold_answer((1, 1, 1, 1), 24) is None
    assert gold_answer((), 1) is None
    assert gold_answer(tuple(range(1, 9)), 10) is None, "more numbers than are searched"


def test_the_search_is_bounded():
    start = time.process_time()
    assert gold_answer((96, 97, 98, 99, 95, 94), 99_999_991) is None
    assert time.process_time() - start < 2
