"""Installed plugins, each broken in its own way: one correct sentence, and everything else keeps working."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.packages.conftest import BROKEN, ENGINES, Environment

pytestmark = pytest.mark.packages

CASES = {
    "rrr-syntax": (
        "rrr-syntax 1.0: its module rrr_syntax cannot be imported: SyntaxError at rrr_syntax.py:3: "
        "'(' was never closed. Fix it, or report it to the authors of rrr-syntax."
    ),
    "rrr-misspelt": (
        "rrr-misspelt 1.0, hook rrr_gold_anser at rrr_misspelt.py:27: there is no such hook. "
        "Did you mean 'rrr_gold_answer'? `rrr docs hooks.md` lists them."
    ),
    "rrr-newer": (
        "rrr-newer 1.0 needs rrr-core <99,>=98, and this is rrr-core 0.1.0: "
        "install a release of rrr-newer that fits this core, or a core that fits it."
    ),
}
"""Distribution → the sentence that says what is wrong with it. None of them can be loaded."""

TWINS = (
    "The task 'sound' is claimed by rrr-sound 1.0 (module rrr_sound) and by rrr-twin 1.0 (module rrr_twin): "
    "uninstall all but one."
)


WITHHELD = {
    "rrr-hangs": ("timeout", "rrr-hangs 1.0, hook rrr_verify: no verdict within 0.5 CPU seconds"),
    "rrr-exits": ("exit", "rrr-exits 1.0, hook rrr_verify: SystemExit at rrr_exits.py:26: 3"),
}
"""Distribution → category and detail of the verdicts that its verifier withholds. They load fine."""

WORD = json.dumps({"row": {"number": 4}, "answer": "five"})
ANSWER = json.dumps({"row": {"number": 4}, "answer": "5"})


def assert_sound(env: Environment) -> None:
    assert env.listed()["sound"].split()[1:4] == ["rrr-sound", "1.0", "ok"]
    assert '"verdict": "passed"' in env.rrr("verify", "sound", "-", text=ANSWER).stdout


def test_each_broken_plugin_is_tried_here() -> None:
    assert {"rrr-sound", "rrr-twin", *CASES, *WITHHELD} == set(BROKEN) - set(ENGINES)


@pytest.mark.parametrize(("distribution", "sentence"), CASES.items(), ids=list(CASES))
def test_a_plugin_that_cannot_be_loaded_has_one_sentence_and_the_others_work(
    environment: Callable[..., Environment], distribution: str, sentence: str
) -> None:
    env = environment("rrr-sound")
    env.install("--no-deps", distribution)
    task = distribution.removeprefix("rrr-")
    first, reported = env.listed()[task].splitlines()
    assert first.split()[1:] == [distribution, "1.0", "broken"]
    assert reported.strip() == sentence
    for command in (("tasks", task), ("verify", task, "-")):
        refused = env.rrr(*command, text="")
        assert (refused.returncode, refused.stderr, refused.stdout) == (2, f"rrr: {sentence}\n", "")
    checked = env.rrr("check", task)
    if distribution == "rrr-newer":  # There is nothing to check: it needs another core.
        assert (checked.returncode, checked.stderr, checked.stdout) == (2, f"rrr: {sentence}\n", "")
    else:
        assert checked.returncode == 1
        assert f"{sentence} See `rrr docs checks.md#check_task_loads`.\n" in checked.stdout
    assert_sound(env)


def test_pip_itself_refuses_a_plugin_that_needs_a_newer_core(environment: Callable[..., Environment]) -> None:
    env = environment()
    refused = env.try_install("rrr-newer")
    assert refused.returncode != 0
    assert "rrr-core<99,>=98" in refused.stderr


def test_of_two_plugins_that_claim_one_name_neither_is_chosen_and_each_is_named(
    environment: Callable[..., Environment],
) -> None:
    env = environment("rrr-sound", "rrr-twin", "rrr-exits")
    listed = env.listed()
    assert listed["sound"].count("broken") == 2
    assert listed["sound"].count(f"  {TWINS}") == 2
    assert " ok " in listed["exits"]
    for command in (("tasks", "sound"), ("verify", "sound", "-")):
        refused = env.rrr(*command, text="")
        assert (refused.returncode, refused.stderr) == (2, f"rrr: {TWINS}\n")
    env.uninstall("rrr-twin")
    assert_sound(env)


@pytest.mark.parametrize(("distribution", "reported"), WITHHELD.items(), ids=list(WITHHELD))
def test_a_verifier_that_gives_no_verdict_is_blamed_and_ends_nothing_but_that_verdict(
    environment: Callable[..., Environment], distribution: str, reported: tuple[str, str]
) -> None:
    category, sentence = reported
    task = distribution.removeprefix("rrr-")
    env = environment("rrr-sound", distribution)
    assert " ok " in env.listed()[task]
    judged = env.rrr("verify", task, "-", "--cpu-seconds", "0.5", "--max-abstain", "1", text=WORD)
    assert json.loads(judged.stdout) == {"verdict": "abstained", "category": category, "detail": sentence}
    assert judged.returncode == 0
    stopped = env.rrr("verify", task, "-", "--cpu-seconds", "0.5", text=WORD)
    assert stopped.returncode == 2
    *_, last = stopped.stderr.splitlines()
    assert last.startswith(f"rrr: The verifier of {distribution} 1.0 (task {task!r}) withheld 1 of 1 verdicts")
    checked = env.rrr("check", task, "--cpu-seconds", "0.5")
    assert checked.returncode == 1
    assert checked.stdout.count("FAILED") == 1
    assert f"\n         {sentence} ({category}), on the answer " in checked.stdout
    assert_sound(env)
