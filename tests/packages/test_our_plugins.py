"""The core and each of our plugins, installed from wheels into a clean environment, used, and removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packages.conftest import OURS, Environment

pytestmark = pytest.mark.packages

TASKS = {
    "rrr-countdown": "countdown",
    "rrr-apigen": "apigen",
    "rrr-sqlite": "sqlite",
    "rrr-reasoning-gym": "reasoning-gym.chain_sum",
}
"""Distribution → one task of it."""
OVERLAYS = {"rrr-person-judge": "person-judge"}
"""Distribution → its overlay."""


def test_each_of_our_plugins_is_tried_here() -> None:
    assert {*TASKS, *OVERLAYS} == set(OURS)


def test_the_core_alone_works_and_says_where_to_get_a_task(environment: Callable[..., Environment]) -> None:
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
    remove(env, distribution, task)
    gone = env.rrr("verify", task, "-", text=lines)
    assert gone.returncode == 2
    assert gone.stderr.startswith(f"rrr: No task '{task}' is installed.")
    assert gone.stderr.count("\n") == 1


@pytest.mark.parametrize(("distribution", "overlay"), OVERLAYS.items(), ids=str)
def test_an_overlay_is_installed_used_and_removed_without_a_trace(
    environment: Callable[..., Environment], distribution: str, overlay: str
) -> None:
    env = environment("rrr-sound", distribution)
    assert env.listed()[overlay].split()[1:4] == [distribution, "0.1.0", "ok"]
    row, answer = {"number": 4}, "five"
    verify = ("verify", "sound", "-", "--with", overlay)
    line = json.dumps({"row": row, "answer": answer}) + "\n"
    item = env.printed(f"from rrr_core.overlays import pair_key; print(pair_key('sound', {row!r}, {answer!r}))")
    # The answer has been judged already, so nobody is asked and no terminal is needed.
    kept = [
        {"file": "rrr person verdicts", "version": 1, "task": "sound"},
        {"item": item, "outcome": "failed", "category": "a word"},
    ]
    (env.folder / "person-verdicts.jsonl").write_text("".join(json.dumps(each) + "\n" for each in kept))
    judged = env.rrr(*verify, text=line)
    assert json.loads(judged.stdout) == {"verdict": "failed", "category": "a word", "detail": ""}, judged.stderr
    remove(env, distribution, overlay)
    gone = env.rrr(*verify, text=line)
    assert (gone.returncode, gone.stdout) == (2, "")
    assert gone.stderr == (
        f"rrr: No overlay '{overlay}' is installed. It comes with {distribution}. "
        f"`pip install {distribution}` adds it.\n"
    )


def remove(env: Environment, distribution: str, name: str) -> None:
    """Uninstall a plugin; nothing of it may be left."""
    env.uninstall(distribution)
    assert name not in env.listed()
    stem = distribution.replace("-", "_")
    assert [path.name for path in env.site.iterdir() if path.name.startswith(stem)] == []
