"""Another row's reflection: which row borrows from which."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rrr_core.evaluation.borrowing import borrowed

REFLECTIONS = st.lists(st.sampled_from(["a", "b", "c", "d", "", "e\ud800"]), min_size=2, max_size=30)


@given(REFLECTIONS, st.integers())
def test_every_reflection_is_lent_once_and_none_to_its_own_row(reflections: list[str], seed: int) -> None:
    lenders = borrowed(reflections, seed)
    assert lenders is not None
    assert sorted(lenders) == list(range(len(reflections)))
    assert all(row != lender for row, lender in enumerate(lenders))


@given(REFLECTIONS, st.integers())
def test_as_few_rows_as_possible_borrow_a_text_identical_to_their_own(reflections: list[str], seed: int) -> None:
    lenders = borrowed(reflections, seed)
    assert lenders is not None
    same = sum(reflections[row] == reflections[lender] for row, lender in enumerate(lenders))
    commonest = max(Counter(reflections).values())
    assert same == max(0, 2 * commonest - len(reflections))


def test_a_lone_failure_has_no_reflection_to_borrow() -> None:
    assert borrowed(["a"], seed=0) is None
    assert borrowed([], seed=0) is None


def test_lending_depends_only_on_the_reflections_and_the_seed() -> None:
    reflections = [f"note {n}" for n in range(20)]
    assert borrowed(reflections, 1) == borrowed(reflections, 1) != borrowed(reflections, 2)


def test_rows_do_not_borrow_from_the_reflection_most_like_theirs() -> None:
    reflections = [f"note {n:03}" for n in range(100)]
    lenders = borrowed(reflections, 0)
    assert lenders is not None
    assert sum(abs(row - lender) == 1 for row, lender in enumerate(lenders)) < 10
