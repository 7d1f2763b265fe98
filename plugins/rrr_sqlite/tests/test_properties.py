"""Rules that hold for every result."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rrr_sqlite.database import Rows
from rrr_sqlite.results import ORDER, ROWS, difference, same_value

VALUES = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, -2.0, 3.0]),
    st.sampled_from(["", "a", "A", "1", "NULL", " a"]),
    st.sampled_from([b"", b"a"]),
)
RESULTS = st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[VALUES] * width), max_size=7))


@given(RESULTS, st.randoms())
def test_a_result_is_the_same_in_any_order_unless_one_is_asked_for(rows: Rows, rng: object) -> None:
    shuffled = list(rows)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert difference(shuffled, rows, None) == ""
    keys = [(place,) for place in range(len(rows))]
    same = all(map(_same, shuffled, rows))
    assert difference(shuffled, rows, keys) == ("" if same else ORDER)
    assert difference(shuffled, rows, [(0,)] * len(rows)) == ""


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return all(map(same_value, one, other))  # type: ignore[arg-type]


@given(RESULTS.filter(bool), st.data())
def test_a_row_more_less_or_twice_for_another_is_seen(rows: Rows, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    assert difference([*rows, rows[place]], rows, None) == ROWS
    assert difference(rows[:place] + rows[place + 1 :], rows, None) == ROWS
    other = data.draw(st.integers(0, len(rows) - 1))
    if not _same(rows[place], rows[other]):
        assert difference([*rows[:place], rows[other], *rows[place + 1 :]], rows, None) == ROWS


def test_numbers_that_nearly_tie_do_not_decide_which_rows_are_compared() -> None:
    assert difference([(0.3, "a"), (0.3, "b")], [(0.1 + 0.2, "a"), (0.3, "b")], None) == ""
    assert difference([(0.3, 1), (0.3, 2)], [(0.1 + 0.2, 1), (0.3, 2)], None) == ""
    assert difference([(2**53 + 1,), (2**53,)], [(2**53,), (2**53 + 1,)], None) == ""


@given(VALUES, VALUES)
def test_values_are_the_same_if_they_are_equal_numbers_or_equal_and_of_one_kind(one: object, other: object) -> None:
    def number(value: object) -> bool:
        return isinstance(value, int | float)

    due = one == other if number(one) and number(other) else type(one) is type(other) and one == other
    assert same_value(one, other) is due  # type: ignore[arg-type]
    assert same_value(other, one) is due  # type: ignore[arg-type]
