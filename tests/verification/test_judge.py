"""The judge: verdicts in order, and the limit on withheld ones."""

from __future__ import annotations

import pytest

from rrr_core.episode import Generation
from rrr_core.errors import TooManyAbstentions, TooManyWithoutAnswer
from rrr_core.tasks import load_task
from rrr_core.verdicts import Verdict, no_answer
from rrr_core.verification import Judge, VerifySettings

FLAKY = """
from rrr_core import failed, hookimpl, passed
from rrr_core.hookspecs import trusted
@hookimpl
def rrr_load_dataset(split): return []
@hookimpl
def rrr_prompt(row): return "?"
@hookimpl
@trusted
def rrr_verify(row, answer):
    if answer == "fault":
        raise ValueError(row.get("reason", "none"))
    return passed() if answer == "right" else failed("wrong")
"""


@pytest.fixture
def task(site):
    site.install_task("flaky", FLAKY)
    return load_task("flaky")


def answers(right: int = 0, fault: int = 0) -> list[tuple[dict, str]]:
    return [({}, "right")] * right + [({}, "fault")] * fault


def test_verdicts_come_in_the_order_of_the_answers(task):
    judge = Judge(task)
    verdicts = judge.judge([({}, "right"), ({}, "wrong"), ({}, "fault"), ({}, "right")])
    assert [verdict.outcome for verdict in verdicts] == ["passed", "failed", "abstained", "passed"]
    assert (judge.judged, judge.abstained) == (4, 1)


def test_judging_nothing_gives_nothing_and_is_within_any_limit(task):
    judge = Judge(task, max_abstain=0)
    assert judge.judge([]) == []
    judge.finish()


def test_up_to_the_limit_abstentions_are_allowed(task):
    judge = Judge(task, max_abstain=0.02, minimum=100)
    judge.judge(answers(right=98, fault=2))
    judge.finish()


def test_one_over_the_limit_stops_the_run(task):
    with pytest.raises(TooManyAbstentions):
        Judge(task, max_abstain=0.02, minimum=100).judge(answers(right=97, fault=3))


def test_the_limit_holds_over_all_calls_together(task):
    judge = Judge(task, max_abstain=0.1, minimum=20)
    judge.judge(answers(right=17, fault=2))
    with pytest.raises(TooManyAbstentions):
        judge.judge(answers(fault=1))


def test_before_the_minimum_a_run_continues_whatever_the_share(task):
    judge = Judge(task, minimum=100)
    judge.judge(answers(fault=99))
    with pytest.raises(TooManyAbstentions, match="100 of 100"):
        judge.judge(answers(fault=1))


def test_at_the_end_the_limit_holds_however_few_verdicts_there_were(task):
    judge = Judge(task, minimum=100)
    judge.judge(answers(fault=1))
    with pytest.raises(TooManyAbstentions, match="1 of 1"):
        judge.finish()


def test_the_run_stops_at_the_verdict_that_passes_the_limit(task):
    judge = Judge(task, minimum=10)
    with pytest.raises(TooManyAbstentions):
        judge.judge(answers(fault=50))
    assert judge.judged == 10


def test_the_error_names_the_offender_and_the_commonest_reason_in_one_line(task):
    judge = Judge(task, minimum=4)
    with pytest.raises(TooManyAbstentions) as caught:
        judge.judge([({"reason": reason}, "fault") for reason in ["rare", "common", "common", "rare\nindeed"]])
    message = str(caught.value)
    assert "rrr-flaky 1.0" in message
    assert "ValueError at rrr_flaky.py:11: common" in message
    assert "\n" not in message


def test_a_verdict_comes_from_a_worker_as_it_was_given(site):
    source = (
        "from rrr_core.verdicts import Verdict\n@hookimpl\ndef rrr_verify(answer): return Verdict(answer, 'why', 'x')"
    )
    site.install_task("sums")
    site.install_overlay("reporting", f"from rrr_core import hookimpl\n{source}")
    with Judge(load_task("sums", ["reporting"]), settings=VerifySettings(isolation="process", workers=1)) as judge:
        verdicts = judge.judge([({"a": 1, "b": 1}, answer) for answer in ("passed", "failed")])
    assert verdicts == [Verdict("passed", "why", "x"), Verdict("failed", "why", "x")]


def written(right: int = 0, missing: int = 0) -> list[tuple[dict, Generation]]:
    return [({}, Generation("right"))] * right + [({}, Generation("", missing="content filter"))] * missing


def test_a_text_without_an_answer_is_not_the_verifiers_abstention(task):
    judge = Judge(task, max_abstain=0, max_no_answer=0.5)
    verdicts = judge.judge_written(written(right=3, missing=2))
    judge.finish()
    assert [verdict.is_unanswered for verdict in verdicts] == [False] * 3 + [True] * 2
    assert (judge.judged, judge.abstained) == (3, 0)
    assert judge.unanswered.kinds == {"content filter": 2}


def test_too_many_texts_without_an_answer_stop_the_job_and_blame_no_plugin(task):
    judge = Judge(task)
    with pytest.raises(TooManyWithoutAnswer) as caught:
        judge.judge_written(written(right=97, missing=3))
    assert "no answer to 3 of 100 requests (3× content filter), and 2.0% are allowed" in str(caught.value)
    assert "flaky" not in str(caught.value)


def test_a_few_texts_are_held_to_the_limit_at_the_end_alone(task):
    judge = Judge(task)
    judge.judge_written(written(right=9, missing=1))
    with pytest.raises(TooManyWithoutAnswer):
        judge.finish()


def test_a_resumed_job_recalls_the_texts_without_an_answer(task):
    judge = Judge(task, max_abstain=0)
    judge.recall(98, [no_answer("content filter")] * 2)
    assert (judge.judged, judge.abstained, judge.unanswered.asked) == (96, 0, 98)
    judge.judge_written(written(right=2))
    with pytest.raises(TooManyWithoutAnswer):
        judge.judge_written(written(missing=1))
