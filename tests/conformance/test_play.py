"""`rrr_core.testing.play`: a course of actions in an author's test."""

from __future__ import annotations

from typing import Any

import pytest

from rrr_core import Action, Call
from rrr_core.errors import RrrError
from rrr_core.testing import play
from rrr_core.verification import VerifySettings
from tests.conformance.planted import IN_STEPS, STEP, WITH_CALLS, Plant, install

ROW = {"a": 2, "b": 3}
QUICK = VerifySettings(workers=1)


def called_answer(number: int) -> Action:
    return Action("so", (Call("answer", {"sum": number}),))


def test_a_course_has_its_steps_and_the_verdict_on_what_they_came_to(site: Any) -> None:
    install(site, Plant("", "", base=IN_STEPS))
    course = play("sums", ROW, ["say a", "say b", "answer 5"], verify=QUICK)
    assert course.observations == ("a is 2.", "b is 3.")
    assert [step.state for step in course.steps] == [{"said": ["a"]}, {"said": ["a", "b"]}, None]
    assert course.answer == "5"
    assert course.verdict is not None
    assert course.verdict.is_passed


def test_an_action_may_call_tools(site: Any) -> None:
    install(site, Plant("", "", base=WITH_CALLS))
    course = play("sums", ROW, [Action(calls=(Call("say", {"name": "a"}),)), "say b", called_answer(5)], verify=QUICK)
    assert course.observations == ("a is 2.", "b is 3.")
    assert course.verdict is not None
    assert course.verdict.is_passed
    with pytest.raises(
        RrrError, match=r"action 1 of 2, 'so {\"name\": \"answer\", \"arguments\": {\"sum\": 5}}': leave"
    ):
        play("sums", ROW, [called_answer(5), "say a"], verify=QUICK)


def test_a_course_without_an_answer_has_no_verdict(site: Any) -> None:
    install(site, Plant("", "", base=IN_STEPS))
    course = play("sums", ROW, ["say a"], verify=QUICK)
    assert (course.observations, course.answer, course.verdict) == (("a is 2.",), None, None)
    assert play("sums", ROW, [], verify=QUICK).verdict is None


def test_a_fault_of_the_step_ends_the_course_as_an_abstention(site: Any) -> None:
    install(site, Plant("", "", STEP, "    if action == 'crash':\n        1 / 0\n" + STEP, base=IN_STEPS))
    course = play("sums", ROW, ["say a", "crash", "answer 5"], verify=QUICK)
    assert course.observations == ("a is 2.",)
    assert course.verdict is not None
    assert course.verdict.is_abstained
    assert "ZeroDivisionError" in course.verdict.detail


def test_actions_after_the_end_are_an_error(site: Any) -> None:
    install(site, Plant("", "", base=IN_STEPS))
    with pytest.raises(RrrError, match=r"The course ended at action 1 of 2, 'answer 5': leave out what follows\."):
        play("sums", ROW, ["answer 5", "say a"], verify=QUICK)


def test_a_task_that_answers_at_once_has_no_course(site: Any) -> None:
    install(site)
    with pytest.raises(RrrError, match="'sums' does not act in steps: it has no hook rrr_step"):
        play("sums", ROW, ["5"])
