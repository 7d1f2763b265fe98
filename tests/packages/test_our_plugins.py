"""The core and each of our plugins, installed from wheels into a clean environment, used, and removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packages.conftest import OURS, Environment

pytestmark = pytest.mark.packages

TASKS = {"rrr-countdown": "countdown", "rrr-apigen": "apigen", "rrr-reasoning-gym": "reasoning-gym.chain_sum"}
"""Distribution → one task of it."""


def test_each_of_our_plugins_is_tried_here() -> None:
    assert set(TASKS) == set(OURS)


def test_the_core_alone_works_and_says_where_a_task_is_to_be_had(environment: Callable[..., Environment]) -> None:
    bare = environment()
    assert "no task is installed; for one, pip install rrr-countdown" in bare.rrr("tasks").stdout
    assert bare.rrr("--version").stdout == "rrr, version 0.1.0\n"
    assert not [path.name for path in bare.site.iterdir() if path.name.startswith(("torch", "numpy", "transformers"))]


@pytest.mark.parametrize(("distribution", "task"), TASKS.items(), ids=str)
def test_a_plugin_is_installed_checked_used_and_removed_without_a_trace(
    environment: Callable[..., Environment], distribution: str, task: str, tmp_path: Path
) -> None:
    env = environment(distribution)
    line = env.listed()[task].split()
    assert line[1:4] == [distribution, "0.1.0", "ok"]
    checked = env.rrr("check", task, "--rows", "20")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    shown = env.rrr("tasks", task, "--json")
    assert shown.returncode == 0, shown.stderr
    sample = json.loads(shown.stdout)["samples"][0]
    gold = next(each for each in sample["judged"] if each["kind"] == "gold")
    lines = "".join(json.dumps({"row": sample["row"], "answer": each}) + "\n" for each in (gold["answer"], ""))
    judged = env.rrr("verify", task, "-", text=lines)
    assert [json.loads(line)["verdict"] for line in judged.stdout.splitlines()] == ["passed", "failed"], judged.stderr
    env.uninstall(distribution)
    assert task not in env.listed()
    stem = distribution.replace("-", "_")
    assert [path.name for path in env.site.iterdir() if path.name.startswith(stem)] == []
    gone = env.rrr("verify", task, "-", text=lines)
    assert gone.returncode == 2
    assert gone.stderr.startswith(f"rrr: No task '{task}' is installed.")
    assert gone.stderr.count("\n") == 1
