"""Hostile answers get their one right verdict, quickly, and never an exception.

Many are those that are known to be accepted, run, or to hang other Countdown verifiers.
"""

import ast
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rrr_countdown.equations import INVALID, MISSED, WRONG_NUMBERS, verify
from rrr_countdown.examples import EXAMPLES, examples
from rrr_countdown.hostile import CASES, GROUPS

ROW = {"nums": [44, 19, 35], "target": 60}

LONGEST_VERDICT = 0.05
"""Seconds of processor time."""


@pytest.fixture(scope="module", autouse=True)
def sympy_rationals_are_loaded():
    """The first pass of a process loads sympy's rational numbers, which is not part of a verdict's time."""
    assert verify(ROW, "<answer>44+35-19</answer>").is_passed


def title(case):
    return ascii(case.reason)[1:-1]


def seconds(case):
    """The least processor time of up to three verdicts, so a garbage collection does not count as a slow verdict."""
    least = float("inf")
    for _ in range(3):
        start = time.process_time()
        verify(case.row, case.answer)
        least = min(least, time.process_time() - start)
        if least < LONGEST_VERDICT:
            break
    return least


@pytest.mark.parametrize("case", CASES, ids=title)
def test_a_hostile_answer_gets_its_verdict_in_time_with_one_short_printable_line(case):
    verdict = verify(case.row, case.answer)
    assert (verdict.outcome, verdict.category) == (case.outcome, case.category)
    assert verdict.detail.isprintable()
    assert len(verdict.detail) < 400
    assert bool(verdict.detail) == verdict.is_failed
    assert seconds(case) < LONGEST_VERDICT


def test_there_are_hundreds_of_distinct_hostile_answers_with_a_reason_each():
    assert len(CASES) >= 300
    assert len({(repr(case.row), case.answer) for case in CASES}) == len(CASES)
    assert all(case.reason and case.hostile for case in CASES)


def test_every_group_attacks_in_its_own_words():
    for group in GROUPS.values():
        assert len(group) >= 10
        assert len({case.reason for case in group}) == len(group)


def test_the_corpus_has_every_class_of_failure_and_right_answers_too():
    assert {(case.outcome, case.category) for case in CASES} == {
        ("passed", ""),
        ("failed", INVALID),
        ("failed", WRONG_NUMBERS),
        ("failed", MISSED),
    }


def test_the_conformance_checks_get_the_ordinary_and_the_hostile_examples():
    assert list(examples()) == [*EXAMPLES, *CASES]


# Hypothesis also draws the strings of our sources, where right answers stand. All of them hold 44, a number of the row.
@given(st.text().filter(lambda text: "44" not in text))
def test_a_text_without_all_numbers_of_the_row_fails_and_never_raises(text):
    assert verify(ROW, text).is_failed
    assert verify(ROW, f"<answer>{text}</answer>").category in {INVALID, WRONG_NUMBERS, MISSED}


@settings(max_examples=500)
@given(st.text(alphabet="0123456789+-*/()=×÷−· ", max_size=60))
def test_no_text_in_the_letters_of_equations_raises(text):
    assert not verify(ROW, f"<answer>{text}</answer>").is_abstained


@settings(max_examples=300)
@given(st.lists(st.sampled_from(["44", "19", "35", "+", "-", "*", "/", "(", ")"]), max_size=12))
def test_what_the_grammar_of_python_refuses_is_an_invalid_equation(tokens):
    text = "".join(tokens)
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        assert verify(ROW, f"<answer>{text}</answer>").category == INVALID
