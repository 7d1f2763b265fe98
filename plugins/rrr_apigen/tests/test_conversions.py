"""Numbers that a call converts: what is passed instead, and how a reflection works them out."""

from __future__ import annotations

import random
from itertools import islice

import pytest
from rrr_apigen import calls, tiny
from rrr_apigen.conversions import conversion, conversions, miscounted, unconverted
from rrr_apigen.generated import SPLIT_SHARES, Recipe, generate
from rrr_apigen.generated.catalogue import PARAMETERS, functions

UNITS = {name: parameter.unit for name, parameter in PARAMETERS.items() if parameter.unit}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("days", 21, "3 weeks are 3*7=21 days."),
        ("hours", 48, "2 days are 2*24=48 hours."),
        ("minutes", 540, "9 hours are 9*60=540 minutes."),
        ("guests", 12, "6 couples are 6*2=12 guests."),
        ("pieces", 144, "12 dozen are 12*12=144 pieces."),
        ("max_cents", 300, "3 dollars are 3*100=300 cents."),
        ("meters", 4000, "4 kilometers are 4*1000=4000 meters."),
        ("grams", 2000, "2 kilos are 2*1000=2000 grams."),
    ],
)
def test_a_conversion_in_words(name, value, said):
    assert str(conversion(name, value)) == said


@pytest.mark.parametrize(("name", "value"), [("days", 7), ("days", 20), ("days", 91), ("guests", 7), ("city", "Rome")])
def test_what_a_query_gives_as_it_is_needs_no_conversion(name, value):
    assert conversion(name, value) is None


@pytest.mark.parametrize("name", UNITS)
def test_descriptions_name_the_unit_that_the_call_needs(name):
    parameter = PARAMETERS[name]
    assert parameter.unit.own in parameter.description or name == parameter.unit.own == "guests"
    assert parameter.type == "int"


@pytest.mark.parametrize("split", SPLIT_SHARES)
def test_two_thirds_of_the_rows_need_a_conversion_and_no_function_has_two_units_of_time(split):
    drawn = list(islice(generate(split, Recipe()), 2000))
    assert 0.55 < sum(bool(conversions(row["answers"])) for row in drawn) / len(drawn) < 0.72
    for function in functions(split):
        assert sum(each.name in ("days", "hours", "minutes") for each in function.parameters) < 2


def test_unconverted_calls_fail_by_their_values_alone_and_the_results_make_them_right():
    for row in islice(generate("train", Recipe()), 500):
        gold, needed = row["answers"], conversions(row["answers"])
        verdict = calls.verify(row, tiny.answer(unconverted(gold)))
        assert verdict.is_passed == (not needed)
        assert verdict.category == ("parameter values" if needed else "")
        assert unconverted(gold, needed) == gold


def test_results_of_other_units_are_not_taken():
    gold = [{"name": "get_wind", "arguments": {"city": "Rome", "days": 21}}]
    assert unconverted(gold, [conversion("hours", 48)])[0]["arguments"]["days"] == 3


def test_a_miscount_is_wrong_for_its_row_and_still_a_result_of_the_unit():
    rng = random.Random(0)
    for name, unit in UNITS.items():
        right = conversion(name, 2 * unit.factor)
        for _ in range(50):
            wrong = miscounted(right, rng)
            assert wrong.result != right.result
            assert unit.count(wrong.result)
