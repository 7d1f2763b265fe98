"""Hostile answers get their one right verdict, quickly, and never an exception."""

import json
import time
from collections import Counter

import pytest
from rrr_apigen.calls import CATEGORIES, final_answer, verify
from rrr_apigen.examples import EXAMPLES
from rrr_apigen.hostile import CASES

LONGEST_VERDICT = 0.05
"""Seconds of processor time."""

EVERY = [*EXAMPLES, *CASES]
TITLES = [f"{number}-{example.reason!a}" for number, example in enumerate(EVERY)]


def timed(example):
    """The verdict on an example, and its seconds of processor time."""
    start = time.process_time()
    verdict = verify(example.row, example.answer)
    return verdict, time.process_time() - start


@pytest.mark.parametrize("example", EVERY, ids=TITLES)
def test_an_answer_gets_its_verdict_in_time_with_one_short_printable_line(example):
    verdict, taken = timed(example)
    if taken >= LONGEST_VERDICT:  # A garbage collection may have walked all objects of the tests.
        taken = min(timed(example)[1] for _ in range(3))
    assert (verdict.outcome, verdict.category) == (example.outcome, example.category)
    assert taken < LONGEST_VERDICT
    assert len(verdict.detail) < 400
    assert verdict.detail.isascii()
    assert verdict.detail.isprintable()
    assert bool(verdict.detail) == verdict.is_failed


@pytest.mark.parametrize("example", EVERY, ids=TITLES)
def test_there_is_a_final_answer_exactly_if_the_format_is_right_and_it_gets_the_same_verdict(example):
    text = final_answer(example.answer)
    assert (text is None) == (example.category == "format")
    if text is not None:
        assert verify(example.row, text) == verify(example.row, example.answer)


def test_there_are_hundreds_of_distinct_hostile_answers():
    assert len(CASES) >= 300
    assert len({(json.dumps(case.row), case.answer) for case in CASES}) == len(CASES)
    assert all(case.hostile for case in CASES)


def test_every_hostile_answer_has_a_reason_of_its_own():
    assert [reason for reason, count in Counter(case.reason for case in CASES).items() if count > 1] == []


def test_the_corpus_holds_every_class_and_right_answers_that_look_hostile():
    counts = Counter(case.category for case in CASES)
    assert set(counts) == {"", *CATEGORIES}
    assert min(counts.values()) >= 20


def test_the_examples_cover_every_class_and_include_attacks():
    assert {example.category for example in EXAMPLES} == {"", *CATEGORIES}
    assert {example.outcome for example in EXAMPLES if example.hostile} == {"failed"}
    assert all(example.reason for example in EXAMPLES)
