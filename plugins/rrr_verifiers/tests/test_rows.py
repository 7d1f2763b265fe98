"""Rows of a task set: which there are, in which split, and which task sets are refused."""

from __future__ import annotations

import itertools
import json

import pytest
from conftest import RIGHT
from rrr_verifiers import maker
from rrr_verifiers.options import TURNS

from rrr_core.errors import DataError

TASK = "class Task(vf.Task[Data]):\n"
SOUND = TASK + RIGHT


def made(task: str, split: str, **options: str) -> list[dict]:
    return list(maker.rows(task, split, options))


def test_a_task_is_in_one_split_whatever_the_size():
    few, more = (
        {split: [row["data"]["sums"] for row in made("verifiers", split, size=size)] for split in ("train", "test")}
        for size in ("40", "80")
    )
    assert not [sums for sums in more["train"] if sums in more["test"]]
    for split, sums in few.items():
        assert more[split][: len(sums)] == sums
        assert sums
    assert len(few["train"]) + len(few["test"]) == len({json.dumps(sums) for sums in [*few["train"], *few["test"]]})


def test_a_row_holds_all_that_makes_its_task_again():
    row = made("verifiers", "train", size="5")[0]
    assert json.loads(json.dumps(row)) == row
    assert row["messages"] == [{"role": "user", "content": row["data"]["prompt"]}]


REFUSED = {
    "reaches_out": (
        TASK + "    @vf.reward\n    async def asked(self, trace) -> float:\n"
        "        import urllib.request\n        urllib.request.urlopen('http://localhost:9')\n        return 1.0\n",
        "asks for socket",
    ),
    "starts_a_program": (
        TASK + "    @vf.reward\n    async def ran(self, trace) -> float:\n"
        "        import subprocess\n        return float(subprocess.run(['true']).returncode == 0)\n",
        "asks for subprocess.Popen",
    ),
    "measured": (
        TASK + "    @vf.reward\n    async def ran(self, trace, runtime) -> float:\n        return 1.0\n",
        "runtime",
    ),
    "prepared": (SOUND + "    async def setup(self, trace, runtime):\n        pass\n", "its setup works in a runtime"),
    "offline": (SOUND + "def range(_):\n    raise OSError('no route')\n", "loading its tasks raised OSError: no route"),
    "contained": (SOUND + "    NEEDS_CONTAINER = True\n", "needs a container"),
    "moody": (
        "import random\n" + TASK + "    @vf.reward\n    async def mood(self, trace) -> float:\n"
        "        return random.random()\n",
        "twice led to different",
    ),
    "crowded": (
        SOUND + "class Two(vf.EnvConfig):\n    a: vf.AgentConfig = vf.AgentConfig()\n"
        "    b: vf.AgentConfig = vf.AgentConfig()\n"
        "class Both(vf.Env[Two]):\n    async def run(self, task, agents):\n        await agents.a.run(task)\n",
        "2 agents (a, b)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_sandbox_cannot_give_is_refused_in_one_line(plant, name):
    body, said = REFUSED[name]
    taskset = plant(name, body, exported="Both" if name == "crowded" else "")
    with pytest.raises(DataError) as caught:
        made("verifiers", "train", taskset=taskset)
    assert str(caught.value).startswith(f"verifiers: the task set {name} cannot be served: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_set_that_is_not_installed_is_named():
    with pytest.raises(DataError, match=r"--data taskset=nonesuch: taskset 'nonesuch' not found"):
        made("verifiers", "train", taskset="nonesuch")


def test_a_task_set_that_answers_the_model_belongs_to_the_task_with_turns():
    config = json.dumps({"turns": 2})
    with pytest.raises(DataError, match=r"take the task verifiers\.turns"):
        made("verifiers", "train", taskset="rrr_verifiers_sums", config=config)
    assert made(TURNS, "train", taskset="rrr_verifiers_sums", config=config, size="5")


def test_options_of_the_task_set_are_its_own():
    wrong = json.dumps({"turn": 2})
    with pytest.raises(DataError, match="turn"):
        made("verifiers", "train", taskset="rrr_verifiers_sums", config=wrong)
    with pytest.raises(DataError, match="a JSON object"):
        made("verifiers", "train", config="turns=2")


def test_an_endless_task_set_is_cut_at_size():
    rows = itertools.chain(
        maker.rows("verifiers", "train", {"size": "9"}), maker.rows("verifiers", "test", {"size": "9"})
    )
    assert {row["data"].get("idx") for row in rows} <= set(range(9))
