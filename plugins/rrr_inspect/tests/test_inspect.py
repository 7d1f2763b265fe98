"""Tasks of inspect_ai as rows, prompts and verdicts."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rrr_inspect
from rrr_inspect import maker, replay

from rrr_core.errors import DataError
from rrr_core.tasks import load_task
from rrr_core.verification import Judge, VerifySettings

HEAD = """
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import *
from inspect_ai.solver import *
from inspect_ai.tool import bash

SAMPLES = [Sample(input=f"Say {word}.", target=word) for word in "red green blue black white brown".split()]

def made():
    return """


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Makes a module with a task of this expression; gives the name that `--data task` takes."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def planted(expression: str, more: str = "") -> str:
        (tmp_path / "planted_evals.py").write_text(f"{HEAD}{expression}\n{more}", encoding="utf-8")
        importlib.invalidate_caches()
        sys.modules.pop("planted_evals", None)
        return "planted_evals:made"

    yield planted
    sys.modules.pop("planted_evals", None)


def rows_of(name: str, split: str = "train", **args: Any) -> list[dict[str, Any]]:
    return list(
        maker.rows({"split": split, "task": name, "args": args, "size": "100", "full": "1", "rrr_task": "inspect_ai"})
    )


def test_each_sample_is_in_one_split_wherever_it_stands(plant: Callable[..., str]) -> None:
    name = plant("Task(dataset=SAMPLES, scorer=exact())")
    train, test = ({row["sample"]["target"] for row in rows_of(name, split)} for split in ("train", "test"))
    assert train | test == {"red", "green", "blue", "black", "white", "brown"}
    assert not train & test
    name = plant("Task(dataset=SAMPLES[::-1], scorer=exact())")
    assert {row["sample"]["target"] for row in rows_of(name)} == train


def test_the_prompt_is_what_the_solvers_show_the_model(plant: Callable[..., str]) -> None:
    name = plant("Task(dataset=SAMPLES, solver=[system_message('Be brief.'), generate()], scorer=exact())")
    row = rows_of(name)[0]
    assert row["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"Say {row['sample']['target']}."},
    ]


def test_a_choice_is_asked_and_judged_as_inspect_ai_does(plant: Callable[..., str]) -> None:
    samples = "[Sample(input=f'{n}?', choices=['no', str(n)], target='B') for n in range(9)]"
    row = rows_of(plant(f"Task(dataset={samples}, solver=multiple_choice(), scorer=choice())"))[0]
    assert "A) no\nB) " in row["messages"][0]["content"]
    assert row["gold"] == "ANSWER: B"
    assert replay.verify(row, "ANSWER: A").is_failed


def test_the_gold_answer_is_the_first_form_that_passes(plant: Callable[..., str]) -> None:
    row = rows_of(plant("Task(dataset=SAMPLES, scorer=answer('line'))"))[0]
    assert row["gold"] == f"ANSWER: {row['sample']['target']}"


def test_all_scorers_must_agree(plant: Callable[..., str]) -> None:
    row = rows_of(plant("Task(dataset=SAMPLES, scorer=[includes(), exact()])"))[0]
    verdict = replay.verify(row, f"It is {row['sample']['target']}")
    assert (verdict.category, verdict.detail) == ("wrong answer", "exact gives 0, and 1 passes")


OWN = """
@scorer(metrics=[accuracy()])
def own(value="C"):
    async def score(state, target):
        if value == "raise" and state.output.completion != "I do not know.":
            raise KeyError("oops")
        return None if value == "none" else Score.unscored() if value == "unscored" else Score(value=value)
    return score
"""


@pytest.mark.parametrize("value", ["none", "unscored"])
def test_no_score_is_no_verdict(plant: Callable[..., str], value: str) -> None:
    row = rows_of(plant(f"Task(dataset=SAMPLES, scorer=own({value!r}))", OWN))[0]
    with pytest.raises(replay.Unscored):
        replay.verify(row, "red")


def test_what_a_score_raises_withholds_the_verdict(plant: Callable[..., str]) -> None:
    row = rows_of(plant("Task(dataset=SAMPLES, scorer=own('raise'))", OWN))[0]
    with pytest.raises(KeyError):
        replay.verify(row, "red")


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("Task(dataset=SAMPLES)", "it has no scorer"),
        ("Task(dataset=SAMPLES, scorer=exact(), sandbox='docker')", "a sandbox of inspect_ai's"),
        ("Task(dataset=SAMPLES, scorer=exact(), setup=system_message('x'))", "it has a setup step"),
        (
            "Task(dataset=SAMPLES, solver=[use_tools(bash()), generate()], scorer=exact())",
            "use_tools cannot be made again",
        ),
        ("Task(dataset=SAMPLES, solver=[generate(), self_critique()], scorer=exact())", "cannot be served"),
        ("Task(dataset=SAMPLES, scorer=model_graded_qa())", "a score raised"),
        ("Task(dataset=[Sample(input='x', target='y', files={'a': 'b'})], scorer=exact())", "files or a sandbox"),
        ("7", "gives int, not a Task"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(plant: Callable[..., str], expression: str, why: str) -> None:
    with pytest.raises(DataError, match=why) as raised:
        rows_of(plant(expression))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [({"args": "[1]"}, "a JSON object"), ({"task": " "}, "names no task"), ({"task": "no/such"}, "no/such")],
)
def test_options_that_name_nothing_are_refused(options: dict[str, str], why: str) -> None:
    with pytest.raises(DataError, match=why):
        list(load_task("inspect_ai").load_dataset("train", options))


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux-only")
def test_a_verdict_is_given_in_the_sandbox() -> None:
    task = load_task("inspect_ai")
    row = next(iter(task.load_dataset("train", {"size": "9"})))
    gold = task.gold_answer(row)
    with Judge(task, max_abstain=1.0, settings=VerifySettings(seconds=300.0, workers=1)) as judge:
        assert judge.isolated
        right, wrong = judge.judge([(row, gold or ""), (row, "no")])
    assert right.is_passed
    assert wrong.category == "wrong answer"


def test_the_plugin_itself_imports_nothing_heavy() -> None:
    import subprocess

    script = (
        f"import sys; sys.path[:0] = {json.dumps(sys.path)}; import rrr_inspect; print('inspect_ai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
    assert rrr_inspect.SAMPLE == "rrr_inspect_sums:sums"
