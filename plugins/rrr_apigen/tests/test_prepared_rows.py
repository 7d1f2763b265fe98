"""A row's calls are prepared once for many answers, and a row that changes is another row."""

import pytest
from rrr_apigen import calls
from rrr_apigen.calls import gold_calls, prepared, verify


def row(level):
    return {"answers": [{"name": "lamp", "arguments": {"level": level}}]}


def text(level):
    return f'[{{"name": "lamp", "arguments": {{"level": {level}}}}}]'


def test_the_calls_of_a_row_are_prepared_once():
    assert prepared(row(5)["answers"]) is prepared(row(5)["answers"])
    assert prepared(row(5)["answers"]) == gold_calls(row(5)["answers"])


def test_rows_that_python_calls_equal_are_told_apart():
    for level, literal in ((1, "1"), (True, "true"), (0, "0"), (False, "false"), ("1", '"1"'), (None, "null")):
        others = ("1", "true", "0", "false", '"1"', "null")
        assert [other for other in others if verify(row(level), text(other)).is_passed] == [literal]


def test_a_row_that_was_changed_is_judged_as_it_is_now():
    changing = row(5)
    assert verify(changing, text(5)).is_passed
    changing["answers"][0]["arguments"]["level"] = 6
    assert verify(changing, text(5)).is_failed
    assert verify(changing, text(6)).is_passed


@pytest.mark.parametrize("level", [(5,), b"5", bytearray(b"5"), {5}, float("nan"), {5: 5}])
def test_a_malformed_row_is_a_fault_each_time(level):
    for _ in range(2):
        with pytest.raises((TypeError, ValueError)):
            verify(row(level), text(5))


def test_few_rows_are_kept():
    for level in range(2 * calls.MOST_PREPARED):
        prepared(row(level)["answers"])
    assert len(calls._PREPARED) <= calls.MOST_PREPARED
