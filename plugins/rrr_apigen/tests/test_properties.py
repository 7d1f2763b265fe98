"""The right calls pass in any notation, no change of them does, and no text raises."""

import copy
import json
import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rrr_apigen.calls import CATEGORIES, final_answer, verify
from rrr_apigen.mutations import MUST_FAIL, MUST_PASS
from rrr_apigen.strict_json import integer, real

calm = settings(deadline=None)
"""A busy machine is not a bug."""

texts = st.text(max_size=8) | st.sampled_from(
    ["", "5", "true", "</tool_call>", "```", "\ud800", "\x00", '"', "\\", "[{"]
)
integers = st.integers() | st.sampled_from([0, 1, 2**53, 2**53 + 1, 10**400])
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
names = st.sampled_from(["f", "g", "F", "__class__", ""]) | st.text(max_size=5)
calls = st.fixed_dictionaries({"name": names, "arguments": st.dictionaries(texts, values, max_size=4)})
gold = st.lists(calls, max_size=4)


@settings(calm, max_examples=150)
@given(gold, st.sampled_from(list(MUST_PASS)), st.integers(0))
def test_the_right_calls_pass_however_they_are_written(answers, name, seed):
    answer = MUST_PASS[name](copy.deepcopy(answers), random.Random(seed))
    if answer is not None:
        assert verify({"answers": answers}, answer).is_passed


@settings(calm, max_examples=300)
@given(gold, st.sampled_from(list(MUST_FAIL)), st.integers(0))
def test_calls_changed_in_any_way_that_matters_fail(answers, name, seed):
    answer = MUST_FAIL[name](copy.deepcopy(answers), random.Random(seed))
    if answer is not None:
        verdict = verify({"answers": answers}, answer)
        assert verdict.is_failed
        assert verdict.category in CATEGORIES
        assert verdict.detail.isascii()
        assert verdict.detail.isprintable()


@calm
@given(gold, st.text())
def test_random_text_never_passes_nor_raises(answers, text):
    assert verify({"answers": [*answers, {"name": "f", "arguments": {}}]}, text).is_failed
    assert final_answer(text) is None or text.strip().startswith(("[", "<", "`"))


@calm
@given(gold, st.text(alphabet='[]{}":,\\u09ef.-+ \n`<>/|tool_callthink', max_size=80))
def test_text_in_the_letters_of_calls_never_raises(answers, text):
    assert not verify({"answers": answers}, text).is_abstained


@calm
@given(gold, st.data())
def test_one_letter_changed_anywhere_never_raises(answers, data):
    text = json.dumps(answers)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters())
    assert not verify({"answers": answers}, text[:place] + letter + text[place + 1 :]).is_abstained


@calm
@given(gold, gold)
def test_two_lists_of_calls_match_exactly_if_their_sorted_texts_do(answers, others):
    def key(value):
        """A text that is equal only for equal values, by independent arithmetic."""
        if isinstance(value, dict):
            return "{" + ",".join(sorted(f"{key(name)}:{key(item)}" for name, item in value.items())) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(key, value)) + "]"
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            top, bottom = Decimal(repr(value)).as_integer_ratio()
            return f"#{top:x}/{bottom:x}"
        return json.dumps(value)

    expected = sorted(map(key, answers)) == sorted(map(key, others))
    assert verify({"answers": answers}, json.dumps(others)).is_passed == expected
    assert verify({"answers": others}, json.dumps(answers)).is_passed == expected


literals = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?", fullmatch=True)


@calm
@given(literals, literals)
def test_numbers_are_equal_exactly_if_their_decimal_values_are(literal, other):
    assert (real(literal) == real(other)) == (Decimal(literal) == Decimal(other))


@calm
@given(literals, st.integers(0, 40))
def test_a_number_is_equal_to_itself_written_with_another_exponent(literal, shift):
    mantissa, _, exponent = literal.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction += "0" * shift
    moved = f"{whole}{fraction[:shift]}.{fraction[shift:]}0e{int(exponent or 0) - shift}"
    assert real(moved) == real(literal)


@calm
@given(st.integers())
def test_a_literal_without_a_point_is_the_same_number_either_way(number):
    assert integer(str(number)) == real(str(number)) == real(f"{number}.0") == real(f"{number}e0")


@pytest.mark.parametrize("digits", [639, 640, 641, 4_300, 4_301, 15_000])
def test_integers_of_the_row_are_exact_however_large(digits):
    answers = [{"name": "f", "arguments": {"x": 10**digits + 1}}]

    def judged(literal):
        return verify({"answers": answers}, f'[{{"name": "f", "arguments": {{"x": {literal}}}}}]')

    zeros = "0" * (digits - 1)
    assert judged(f"1{zeros}1").is_passed
    assert judged(f"1{zeros}1.0").is_passed
    assert judged(f"1{zeros}1e0").is_passed
    assert judged(f"1{zeros}0").category == "parameter values"
    assert judged(f"1{zeros}2").category == "parameter values"
    assert judged(f"1e{digits}").category == "parameter values"
