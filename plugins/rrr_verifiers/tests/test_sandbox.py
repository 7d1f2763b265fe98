"""In the sandbox, where verdicts are given, with real environments of others."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys

import pytest

from rrr_core.tasks import load_task
from rrr_core.verification import Judge, VerifySettings

PATIENT = VerifySettings(seconds=300.0, workers=1)
"""The machine may be busy; the limit on CPU time holds. Every worker imports for seconds, so one has to do."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux-only")


def installed(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


def test_a_verdict_needs_no_socket():
    task = load_task("verifiers")
    row = next(iter(task.load_dataset("train", {"size": "4"})))
    (sums,) = row["data"]["sums"]
    with Judge(task, max_abstain=1.0, settings=PATIENT) as judge:
        assert judge.isolated
        right, wrong = judge.judge([(row, str(sum(sums))), (row, "?")])
    assert right.is_passed
    assert wrong.category == "wrong answer"


def test_a_course_is_played_in_the_sandbox():
    task = load_task("verifiers.turns")
    row = next(iter(task.load_dataset("train", {"size": "4"})))
    (a, b), (c, d) = row["data"]["sums"]
    with Judge(task, max_abstain=1.0, settings=PATIENT) as judge:
        (first,) = judge.step([(row, str(a + b))], [None])
        (last,) = judge.step([(row, str(c + d))], [first.state])
        (verdict,) = judge.judge([(row, last.answer)])
    assert verdict.is_passed


@installed("marble_v1")
def test_marble_is_judged_by_its_own_physics():
    task = load_task("verifiers")
    rows = list(itertools.islice(task.load_dataset("train", {"taskset": "marble-v1", "size": "8"}), 2))
    right = [f"```json\n{json.dumps(row['data']['solution'])}\n```" for row in rows]
    with Judge(task, max_abstain=1.0, settings=PATIENT) as judge:
        verdicts = judge.judge([*zip(rows, right, strict=True), *((row, "[]") for row in rows)])
    assert [verdict.is_passed for verdict in verdicts] == [True, True, False, False]
    assert {verdict.category for verdict in verdicts[2:]} == {"wrong answer"}


@installed("textarena")
def test_a_game_of_textarena_says_the_same_again_at_each_step():
    import nltk

    try:
        nltk.data.find("corpora/words")
    except LookupError:
        pytest.skip("the word list of nltk is not installed")
    task = load_task("verifiers.turns")
    config = json.dumps({"game": "Hangman-v0"})
    row = next(iter(task.load_dataset("train", {"taskset": "textarena", "config": config, "size": "6"})))
    with Judge(task, max_abstain=1.0, settings=PATIENT) as judge:
        (said,) = judge.step([(row, "[E]")], [None])
        (lost,) = judge.step([(row, "[zzzz]")], [said.state])
    assert "C00 C01" in said.observation
    assert lost.answer is None or json.loads(lost.answer)["turns"][0]["reply"] == "[E]"
