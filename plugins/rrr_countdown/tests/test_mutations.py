"""The mutation score: no spoilt answer passes, and no right one fails however it is written."""

from itertools import islice

import pytest
from rrr_countdown import mutations
from rrr_countdown.generated import Recipe, generate
from rrr_countdown.mutations import MUST_FAIL, MUST_FAIL_WHOLE, MUST_PASS, MUST_PASS_WHOLE

from rrr_core.verdicts import failed, passed


def rows():
    """Hundreds of rows, from two numbers to six, some reached only by products and quotients."""
    yield from islice(generate("test", Recipe((3, 4), 99, "+-*/")), 150)
    yield from islice(generate("test", Recipe((2, 6), 20, "+-*/", seed=1)), 100)
    yield from islice(generate("train", Recipe((3, 4), 30, "*/")), 100)


@pytest.fixture(scope="module")
def score():
    return mutations.score(rows())


def test_no_wrong_answer_passes(score):
    assert score.false_accepts == {}, score.examples


def test_no_right_answer_fails(score):
    assert score.false_rejects == {}, score.examples


def test_answers_are_perturbed_in_many_ways_and_each_way_occurs_often(score):
    assert len(MUST_FAIL) + len(MUST_FAIL_WHOLE) >= 20
    assert len(MUST_PASS) + len(MUST_PASS_WHOLE) >= 8
    assert set(score.judged) == {*MUST_FAIL, *MUST_FAIL_WHOLE, *MUST_PASS, *MUST_PASS_WHOLE}
    assert min(score.judged.values()) >= 30


def test_the_score_is_the_same_each_time(score):
    assert mutations.score(rows()) == score


def test_a_verifier_that_is_too_lenient_or_too_strict_scores_badly(monkeypatch):
    few = list(islice(rows(), 5))
    monkeypatch.setattr(mutations, "verify", lambda row, answer: passed())
    assert set(mutations.score(few).false_accepts) <= {*MUST_FAIL, *MUST_FAIL_WHOLE}
    assert mutations.score(few).false_accepts["a digit changed"] == 5
    monkeypatch.setattr(mutations, "verify", lambda row, answer: failed("invalid equation"))
    assert mutations.score(few).false_rejects["as it is"] == 5
    assert mutations.score(few).false_accepts == {}
