"""Installed plugins that are broken, each in its own way: one right sentence, and everything else works on."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.packages.conftest import BROKEN, Environment

pytestmark = pytest.mark.packages

CASES = {
    "rrr-syntax": (
        "rrr-syntax 1.0: its module rrr_syntax cannot be imported: SyntaxError at rrr_syntax.py:3: "
        "'(' was never closed. Reinstall rrr-syntax, or tell its authors."
    ),
    "rrr-misspelt": (
        "rrr-misspelt 1.0, hook rrr_gold_anser: there is no such hook. "
        "Did you mean 'rrr_gold_answer' or 'rrr_final_answer'? `docs/hooks.md` lists them."
    ),
    "rrr-newer": (
        "rrr-newer 1.0 needs rrr-core <99,>=98, and this is rrr-core 0.1.0: "
        "install a release of rrr-newer that fits this core, or a core that fits it."
    ),
}
"""Distribution → the sentence that tells what is wrong with it. None of them can be loaded."""

WITHHELD = {"rrr-hangs": ("timeout", "took longer"), "rrr-exits": ("exit", "SystemExit")}
"""Distribution → category and words of the verdicts that its verifier withholds. They load well."""

TWINS = (
    "The task 'sound' is claimed by rrr-sound 1.0 (module rrr_sound) and by rrr-twin 1.0 (module rrr_twin): "
    "uninstall all but one."
)


def assert_sound(env: Environment) -> None:
    assert env.listed()["sound"].split()[1:4] == ["rrr-sound", "1.0", "ok"]
    row = json.dumps({"row": {"number": 4}, "answer": "5"})
    assert '"verdict": "passed"' in env.rrr("verify", "sound", "-", text=row).stdout


def test_each_broken_plugin_is_tried_here() -> None:
    assert {"rrr-sound", "rrr-twin", *CASES, *WITHHELD} == set(BROKEN)


@pytest.mark.parametrize(("distribution", "sentence"), CASES.items(), ids=list(CASES))
def test_a_plugin_that_cannot_be_loaded_has_one_sentence_and_the_others_work(
    environment: Callable[..., Environment], distribution: str, sentence: str
) -> None:
    env = environment("rrr-sound")
    env.install("--no-deps", distribution)
    task = distribution.removeprefix("rrr-")
    first, told = env.listed()[task].splitlines()
    assert first.split()[1:] == [distribution, "1.0", "broken"]
    assert told.strip() == sentence
    for command in (("tasks", task), ("verify", task, "-")):
        refused = env.rrr(*command, text="")
        assert (refused.returncode, refused.stderr, refused.stdout) == (2, f"rrr: {sentence}\n", "")
    checked = env.rrr("check", task)
    assert checked.returncode in (1, 2)
    assert sentence.partition(". ")[0] in checked.stdout
    assert "Traceback" not in checked.stdout + checked.stderr
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


@pytest.mark.parametrize(("distribution", "category", "words"), [(name, *told) for name, told in WITHHELD.items()])
def test_a_verifier_that_gives_no_verdict_is_blamed_and_neither_rewarded_nor_waited_for(
    environment: Callable[..., Environment], distribution: str, category: str, words: str
) -> None:
    env = environment("rrr-sound", distribution)
    task = distribution.removeprefix("rrr-")
    assert " ok " in env.listed()[task]
    row = json.dumps({"row": {"number": 4}, "answer": "5"})
    judged = env.rrr("verify", task, "-", "--cpu-seconds", "0.5", "--max-abstain", "1", text=row)
    verdict = json.loads(judged.stdout)
    assert (verdict["verdict"], verdict["category"]) == ("abstained", category)
    assert f"{distribution} 1.0, hook rrr_verify" in verdict["detail"]
    assert words in verdict["detail"]
    assert judged.returncode == 0
    stopped = env.rrr("verify", task, "-", "--cpu-seconds", "0.5", text=row)
    assert stopped.returncode == 2
    assert stopped.stderr.splitlines()[-1].startswith(f"rrr: The verifier of {distribution} 1.0 (task '{task}')")
    checked = env.rrr("check", task, "--cpu-seconds", "0.5")
    assert checked.returncode == 1
    assert f"{distribution} 1.0, hook rrr_verify" in checked.stdout
    assert_sound(env)
