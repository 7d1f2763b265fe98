"""Environments of OpenEnv as a task: rows, courses, verdicts, and what is refused."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from pathlib import Path

import pytest
from rrr_openenv import maker, replay, scoring

from rrr_core.errors import DataError
from rrr_core.tasks import load_task
from rrr_core.verification import Judge, VerifySettings

PATIENT = VerifySettings(seconds=300.0, workers=1)
"""The machine may be busy; the limit on CPU time holds. Every worker imports for seconds, so one has to do."""

HEAD = """
import random, uuid
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

class Say(Action):
    text: str

class Planted(Environment[Say, Observation, State]):
    def reset(self, seed=None, **more):
        self.seed, self.taken = seed, 0
        return Observation(metadata={"seed": seed})

    def step(self, action, timeout_s=None, **more):
        self.taken += 1
        return Observation(reward=float(action.text == "right"), done=self.taken == 2)

    @property
    def state(self):
        return State()
"""


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a module with an environment: the one above, changed; gives its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def planted(name: str, *changes: tuple[str, str]) -> str:
        text = HEAD
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        sys.modules.pop(name, None)
        return f"{name}:Planted"

    return planted


def row_of(**options: str) -> dict:
    return next(maker.rows("openenv", "train", options))


def course(row: dict, *actions: str) -> str:
    """The answer that these actions lead to."""
    task, state = load_task("openenv"), None
    for action in actions:
        step = task.step(row, state, action)
        state = step.state
    assert step.answer is not None
    return step.answer


def test_a_seed_is_in_one_split_and_a_row_is_json():
    seeds = {
        split: [row["reset"]["seed"] for row in maker.rows("openenv", split, {"size": "20"})]
        for split in ("train", "test")
    }
    assert sorted(seeds["train"] + seeds["test"]) == list(range(20))
    row = row_of()
    assert json.loads(json.dumps(row)) == row
    assert '"number"' in row["messages"][0]["content"]


def test_the_lock_opens_only_with_its_number():
    row, task = row_of(), load_task("openenv")
    tries = [json.dumps({"number": number}) for number in range(1, 10)]
    (right,) = (text for text in tries if task.step(row, None, text).answer is not None)
    wrong = next(text for text in tries if text != right)
    assert task.verify(row, course(row, wrong, "Let me think. {no} " + right)).is_passed
    assert task.step(row, None, wrong).observation in ('{"hint": "higher"}', '{"hint": "lower"}')


@pytest.mark.parametrize(
    "text",
    [
        "open",
        "{",
        '{"type": []}',
        '{"tokens": ["x"]}',
        '{"number": "x"}',
        '{"n": 1}',
        "[1]",
        '{"number": 1, "more": 2}',
    ],
)
def test_what_is_no_action_changes_nothing(text):
    step = load_task("openenv").step(row_of(), None, text)
    assert step.observation.startswith("Not an action: ")
    assert step.observation.endswith("Nothing has changed.")


def test_the_last_reward_or_the_sum_must_be_full(plant):
    name = plant("rewards")
    last, total = row_of(environment=name), row_of(environment=name, score="sum", full="2")
    answer = {row["score"]: [course(row, one, "right") for one in ("right", "wrong")] for row in (last, total)}
    verdicts = [[load_task("openenv").verify(row, each) for each in answer[row["score"]]] for row in (last, total)]
    assert [[each.is_passed for each in pair] for pair in verdicts] == [[True, True], [True, False]]
    assert verdicts[1][1].detail == "sum reward 1, and 2 is full"


def test_metadata_are_shown_only_if_asked_for(plant):
    name = plant("described")
    assert row_of(environment=name)["seen"] == "{}"
    row = row_of(environment=name, metadata="true")
    assert json.loads(row["seen"]) == {"metadata": {"seed": row["reset"]["seed"]}}


REFUSED = {
    "moody": (('{"seed": seed}', '{"at": str(uuid.uuid4())}'), "twice shows something else"),
    "seedless": (
        ("self, seed=None, **more):\n        self.seed, self.taken = seed, 0", "self):\n        self.taken = seed = 0"),
        "takes no seed",
    ),
    "untyped": (("Environment[Say, Observation, State]", "Environment"), "name it with --data action=MODULE:CLASS"),
    "failing": (("self.seed, self.taken = seed, 0", "raise OSError('no such board')"), "its reset raised OSError"),
    "waiting": (
        (
            "    @property",
            "    async def step_async(self, action, timeout_s=None, **more):\n        pass\n\n    @property",
        ),
        "asynchronous",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_replayed_is_refused_in_one_line(plant, name):
    change, said = REFUSED[name]
    with pytest.raises(DataError) as caught:
        row_of(environment=plant(name, change), metadata="true")
    assert str(caught.value).startswith(f"openenv: the environment {name}:Planted cannot be served: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"environment": "nonesuch:Env"}, "cannot be imported: No module named 'nonesuch'"),
        ({"environment": "json:JSONDecoder"}, "no subclass of openenv's Environment"),
        ({"environment": "json"}, "MODULE:CLASS is expected"),
        ({"settings": "[]"}, "a JSON object is expected"),
    ],
)
def test_a_users_mistake_is_one_line(options, said):
    with pytest.raises(DataError, match=said):
        row_of(**options)


def test_an_environment_that_raises_is_at_fault(plant):
    row = row_of(environment=plant("raising", ("self.taken += 1", "raise KeyError('gone')")))
    with pytest.raises(KeyError):
        replay.play(row, ['{"text": "a"}'])


def test_a_reward_that_is_no_number_is_a_fault_and_no_verdict(plant):
    row = row_of(environment=plant("unscored", ('float(action.text == "right")', 'float("nan")')))
    with pytest.raises(ValueError, match="gave a reward of nan"):
        scoring.verify(row, [{"action": "a", "seen": "{}"}, {"action": "b"}])


def test_an_environment_that_shows_something_else_again_is_a_fault():
    row = row_of()
    turns = [{"action": '{"number": 0}', "seen": '{"hint": "lower"}'}, {"action": '{"number": 1}'}]
    with pytest.raises(scoring.NotTheSameAgain, match=r"\(step 1\)"):
        scoring.played(row, turns)


def test_an_environment_with_tasks_of_its_own_has_its_own_splits(plant):
    tasks = "    def list_splits(self):\n        return ['train', 'test']\n\n"
    tasks += "    def num_tasks(self, split):\n        return 3\n\n"
    change = (("    @property", tasks + "    @property"),)
    name = plant("provider", *change)
    rows = {split: list(maker.rows("openenv", split, {"environment": name})) for split in ("train", "test")}
    assert [row["reset"] for row in rows["test"]] == [{"split": "test", "index": index} for index in range(3)]
    assert len(rows["train"]) == 3


def test_examples_are_judged_as_declared():
    task = load_task("openenv")
    for example in task.examples():
        verdict = task.verify(example.row, example.answer)
        assert (verdict.outcome, verdict.category) == (example.outcome, example.category), example.reason


def test_a_course_counts_on_its_own_row_alone():
    first, second = itertools.islice(maker.rows("openenv", "train", {}), 2)
    answer = scoring.answer_of(first, [{"action": "a"}])
    assert load_task("openenv").verify(first, answer).category == "unfinished"
    assert load_task("openenv").verify(second, answer).category == "malformed answer"


def test_a_course_that_grows_too_long_is_a_malformed_answer_and_no_fault():
    task, row = load_task("openenv"), row_of()
    for step in (task.step(row, None, "9" * 300_000), task.step(row, [{"action": "é" * 33_400, "seen": ""}], "1")):
        assert task.verify(row, step.answer).category == "malformed answer"


def test_half_a_surrogate_pair_is_a_question_mark():
    row, task = row_of(), load_task("openenv")
    assert task.step(row, None, "\ud800").state[0]["action"] == "?"
    shown = task.step(row, None, '{"\\ud800": 1, "number": 1}').observation
    assert shown.encode("utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux-only")
def test_a_course_is_played_in_the_sandbox():
    task = load_task("openenv")
    row = next(iter(task.load_dataset("train", {"size": "4"})))
    with Judge(task, max_abstain=1.0, settings=PATIENT) as judge:
        assert judge.isolated
        tries = [(row, json.dumps({"number": number})) for number in range(1, 10)]
        led = judge.step(tries, [None] * 9)
        (answer,) = [each.answer for each in led if each.answer is not None]
        (verdict,) = judge.judge([(row, answer)])
    assert verdict.is_passed
