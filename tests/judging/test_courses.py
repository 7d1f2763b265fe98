"""Judging courses again: what they came to is judged, and those that came to nothing keep their verdict."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rrr_core.episode import Generation
from rrr_core.evaluation import EvalSettings, evaluate
from rrr_core.judging import rejudge as room
from rrr_core.judging.kept_answers import KeptAnswer, find_stages, kept_answers, read_stage
from rrr_core.judging.rejudge import rejudge
from rrr_core.mining import MineSettings, mine
from rrr_core.tasks import Task
from rrr_core.verdicts import passed
from rrr_core.verification import Judge
from tests.fakes import Conversation, ScriptedGenerator
from tests.stepping import bisecting, bisection_task


def troubled(talk: Conversation, chance: random.Random) -> str | Generation:
    """Bisects, but some actions are cut off, crash the step or the verifier."""
    drawn = chance.random()
    if drawn < 0.2 and len(talk) in (1, 3):
        return Generation("gue", (1,), "length") if drawn < 0.1 else "crash" if drawn < 0.15 else "answer crash"
    return bisecting(talk, chance)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, task, engine = tmp_path_factory.mktemp("run"), bisection_task(30), ScriptedGenerator(troubled)
    mine(task, engine, folder / "mine", MineSettings(rows=30, tries=3, rounds=2, max_steps=3, max_abstain=1), {})
    settings = EvalSettings(rows=30, max_steps=3, rounds=2, modes=("sampled",), decide=("model",), max_abstain=1)
    evaluate(task, engine, folder / "eval" / "vanilla", "vanilla", settings, {})
    return folder


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "load_task", lambda *_: bisection_task(30))


def kept(run: Path) -> list[KeptAnswer]:
    return [
        each
        for stage in find_stages(run)
        for file, number, record in read_stage(stage)
        for each in kept_answers(stage, record, f"{file}:{number}")
    ]


def test_what_courses_came_to_is_kept_and_nothing_that_no_verifier_judged(run: Path) -> None:
    answers = kept(run)
    assert all(" after " in each.answer for each in answers)
    assert {each.verdict.category for each in answers} == {"", "wrong number", "exception"}
    assert all("hook rrr_verify" in each.verdict.detail for each in answers if each.verdict.is_abstained)
    assert {each.kind for each in answers} >= {
        *("attempt", "retry", "unneeded retry", "control independent", "control no_reflection"),
    }


def test_the_same_verifier_changes_nothing(run: Path) -> None:
    again = rejudge(run, lambda task: Judge(task, max_abstain=1))
    assert (again.changes, again.judged) == ([], len(kept(run)))


def test_another_verifier_flips_answers_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(*_: object) -> Task:
        task = bisection_task(30)
        monkeypatch.setattr(task, "verify", lambda row, answer: passed())
        return task

    monkeypatch.setattr(room, "load_task", lenient)
    again = rejudge(run, lambda task: Judge(task, max_abstain=1))
    assert again.flipped == sum(not each.verdict.is_passed for each in kept(run)) > 0
    assert {each.before.category for each in again.changes} == {"wrong number", "exception"}
