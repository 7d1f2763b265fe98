"""Verdicts: the full score passes, a part of it fails, and a fault of the task set's is a fault."""

from __future__ import annotations

import itertools

import pytest
import verifiers.v1 as vf
from conftest import RIGHT
from rrr_verifiers import maker, scoring
from rrr_verifiers.options import TURNS

from rrr_core.hookspecs import Step
from rrr_core.tasks import load_task

TASK = "class Task(vf.Task[Data]):\n"


def row_of(task: str, **options: str) -> dict:
    return next(maker.rows(task, "train", options))


def weighted(*weights: float) -> str:
    return TASK + "".join(
        f"    @vf.reward(weight={weight})\n    async def r{n}(self, trace) -> float:\n"
        f"        return float(trace.last_reply.count('{n}'))\n"
        for n, weight in enumerate(weights)
    )


def test_the_weighted_sum_must_be_full(plant):
    row = row_of("verifiers", taskset=plant("two_parts", weighted(0.7, 0.3, 0.0)))
    assert scoring.verify(row, ("01",)).is_passed
    part = scoring.verify(row, ("0",))
    assert (part.category, part.detail) == ("wrong answer", "a score of 0.7, and 1 is full: r0 1, r1 0, r2 0")


def test_a_penalty_takes_from_the_full_score(plant):
    row = row_of("verifiers", taskset=plant("with_penalty", weighted(1.0, -0.5)))
    assert scoring.verify(row, ("0",)).is_passed
    assert not scoring.verify(row, ("01",)).is_passed


def test_a_score_above_1_is_a_fault_until_the_user_says_what_is_full(plant):
    name = plant("counting", weighted(1.0))
    with pytest.raises(ValueError, match=r"r0 scores 3, so 1 is not full: .* --data full=NUMBER"):
        scoring.verify(row_of("verifiers", taskset=name), ("000",))
    row = row_of("verifiers", taskset=name, full="3")
    assert scoring.verify(row, ("000",)).is_passed
    assert not scoring.verify(row, ("0",)).is_passed


def test_a_reward_that_raises_is_a_fault_and_never_a_failed_answer(plant):
    body = (
        TASK
        + RIGHT
        + "    @vf.metric\n    async def broken(self, trace) -> float:\n        return 1 / len(trace.last_reply)\n"
    )
    row = row_of("verifiers", taskset=plant("broken", body))
    assert scoring.verify(row, ("yes",)).is_passed
    with pytest.raises(vf.TaskError, match="ZeroDivisionError"):
        scoring.verify(row, ("",))


def test_a_score_that_is_no_number_is_a_fault_and_no_verdict(plant):
    body = "    @vf.reward\n    async def lost(self, trace) -> float:\n"
    body = TASK + body + "        return float('nan' if trace.last_reply == 'yes' else 0)\n"
    with pytest.raises(ValueError, match="gave a score of nan"):
        scoring.verify(row_of("verifiers", taskset=plant("unscored", body)), ("yes",))


def test_a_stop_of_the_task_ends_the_course(plant):
    body = (
        TASK
        + RIGHT
        + "    @vf.stop\n    async def once(self, trace: vf.Trace) -> bool:\n        return trace.num_turns >= 1\n"
    )
    body += (
        "class Asks(vf.SingleAgentEnv):\n    async def run(self, task, agents):\n"
        "        async with agents.agent.interaction(task) as it:\n            await it.turn()\n"
        "            while not (await it.turn('Again?')).terminated:\n                pass\n"
    )
    row = row_of(TURNS, taskset=plant("stopped", body, exported="Asks"))
    assert load_task(TURNS).step(row, None, "yes") == Step(answer=scoring.answer_of(row, [{"reply": "yes"}]))


def test_a_course_is_played_again_from_its_state():
    task = load_task(TURNS)
    row = row_of(TURNS)
    (a, b), (c, d) = row["data"]["sums"]
    first = task.step(row, None, str(a + b))
    assert (first.observation, first.answer) == (f"And {c} + {d}?", None)
    last = task.step(row, first.state, str(c + d))
    assert task.verify(row, last.answer).is_passed
    half = task.step(row, task.step(row, None, "no").state, str(c + d))
    assert task.verify(row, half.answer).detail == "a score of 0.5, and 1 is full: right 0.5"


def test_an_environment_that_says_something_else_again_is_a_fault():
    row = row_of(TURNS)
    with pytest.raises(scoring.NotTheSameAgain, match=r"said 'And .* where it had said 'And 1 \+ 1\?'"):
        scoring.next_turn(row, [{"reply": "3", "said": "And 1 + 1?"}, {"reply": "2"}])


@pytest.mark.parametrize("text", ["", "7", "[]", "{}", "[" * 100_000, '{"row": "", "turns": [{"reply": "a"}]}'])
def test_what_is_no_course_is_a_malformed_answer(text):
    assert load_task(TURNS).verify(row_of(TURNS), text).category == "malformed answer"


@pytest.mark.parametrize("turns", [[], [[]], [{"reply": 1}], [{"said": "x"}], [{"reply": "a"}, {"reply": "b"}], "x"])
def test_turns_that_no_step_gives_are_a_malformed_answer(turns):
    row = row_of(TURNS)
    assert load_task(TURNS).verify(row, scoring.answer_of(row, turns)).category == "malformed answer"


def test_a_course_counts_on_its_own_row_alone():
    first, second = itertools.islice(maker.rows(TURNS, "train", {}), 2)
    answer = scoring.answer_of(first, [{"reply": "a"}])
    assert load_task(TURNS).verify(first, answer).category == "unfinished"
    assert load_task(TURNS).verify(second, answer).category == "malformed answer"


def test_a_course_that_grows_too_long_is_a_malformed_answer_and_no_fault():
    task, row = load_task(TURNS), row_of(TURNS)
    for step in (task.step(row, None, "9" * 300_000), task.step(row, [{"reply": "é" * 33_400, "said": ""}], "1")):
        assert task.verify(row, step.answer).category == "malformed answer"


def test_half_a_surrogate_pair_is_a_question_mark():
    first = load_task(TURNS).step(row_of(TURNS), None, "7\ud800")
    assert first.state[0]["reply"] == "7?"


def test_a_task_without_a_prompt_is_opened_by_its_environment(plant):
    body = (
        TASK
        + RIGHT
        + (
            "class Opens(vf.SingleAgentEnv):\n    async def run(self, task, agents):\n"
            "        nobody = type(task)(task.data.model_copy(update={'prompt': None}), task.config)\n"
            "        async with agents.agent.interaction(nobody) as it:\n            await it.turn('Say yes')\n"
        )
    )
    name = plant("opened", body, exported="Opens")
    row = row_of("verifiers", taskset=name)
    assert scoring.verify(row, ("yes",)).is_passed


@pytest.mark.parametrize("name", ["verifiers", TURNS])
def test_examples_are_judged_as_declared(name):
    task = load_task(name)
    for example in task.examples():
        verdict = task.verify(example.row, example.answer)
        assert (verdict.outcome, verdict.category) == (example.outcome, example.category), example.reason
