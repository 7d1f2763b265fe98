"""The plugin as the core sees it: its names, its hooks, and its import cost."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning_gym.utils import extract_answer
from rrr_reasoning_gym import about, answers, scoring, upstream

from rrr_core import Model
from rrr_core.tasks import find_tasks, load_task

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMES = [upstream.PREFIX + dataset for dataset in upstream.datasets()]


def test_every_data_set_of_the_installed_release_is_a_task():
    wanted = dict.fromkeys(NAMES, "rrr_reasoning_gym")
    lines = "\n".join(f'"{name}" = "rrr_reasoning_gym"' for name in NAMES)
    assert PROJECT["entry-points"]["rrr.tasks"] == wanted, f"in pyproject.toml should be:\n{lines}"
    assert len(NAMES) == 105


def test_the_core_finds_them_all_without_an_error():
    found = {entry.name: entry.error for entry in find_tasks() if entry.distribution == "rrr-reasoning-gym"}
    assert found == dict.fromkeys(NAMES)


def test_importing_the_plugin_imports_nothing_heavy():
    code = "import sys, rrr_reasoning_gym; print(*{'reasoning_gym', 'numpy', 'sympy', 'torch'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == ""


def test_the_verifier_is_not_trusted():
    assert not load_task("reasoning-gym.countdown").trusted


def test_a_manifest_has_release_licence_and_classes():
    manifest = load_task("reasoning-gym.countdown").manifest()
    assert manifest is not None
    assert manifest.summary == "Generates Countdown Number Game tasks"
    assert (manifest.revision, manifest.data_license) == ("0.1.25", "Apache-2.0")
    assert manifest.categories == scoring.CATEGORIES


@pytest.mark.parametrize("dataset", upstream.datasets())
def test_every_manifest_has_a_summary(dataset):
    assert about.manifest(dataset).summary.strip()


def test_a_prompt_is_the_question_and_how_to_answer():
    task = load_task("reasoning-gym.gcd")
    row = next(task.load_dataset("train"))
    (message,) = task.prompt(row, Model("any"))
    assert message["content"] == f"{row['question']}\n\n{answers.INSTRUCTIONS}"
    assert not task.verify(row, message["content"]).is_passed


def test_examples_pass_fail_and_attack_as_declared():
    task = load_task("reasoning-gym.gcd")
    examples = task.examples()
    assert {(example.outcome, example.hostile) for example in examples} == {
        ("passed", False),
        ("failed", False),
        ("failed", True),
    }
    for example in examples:
        verdict = task.verify(example.row, example.answer)
        assert (verdict.outcome, verdict.category) == (example.outcome, example.category), example.reason


def test_a_gold_answer_passes_and_its_final_part_is_upstreams_answer():
    task = load_task("reasoning-gym.gcd")
    for row in islice(task.load_dataset("test"), 5):
        gold = task.gold_answer(row)
        assert gold is not None
        assert task.verify(row, gold).is_passed
        assert task.final_answer(row, gold) == row["answer"]


@given(st.lists(st.sampled_from(["<answer>", "</answer>", " ", "\n", "4", "x"]), max_size=12).map("".join))
def test_the_final_answer_matches_upstreams(text):
    assert answers.final_answer(text) == extract_answer(text)


def test_partial_credit_is_a_reward_and_no_verdict():
    task = load_task("reasoning-gym.word_sorting")
    row = next(task.load_dataset("test"))
    right = str(task.gold_answer(row))
    words = answers.final_answer(right).split(", ")
    swapped = answers.tagged(", ".join([words[1], words[0], *words[2:]]))
    verdicts = [task.verify(row, text) for text in (right, swapped)]
    scored = [task.reward(row, text, each) for text, each in zip((right, swapped), verdicts, strict=True)]
    in_place = (len(words) - 2) / len(words)
    assert [(each.outcome, each.reward) for each in scored] == [("passed", 1.0), ("failed", in_place)]


def test_rewards_are_no_more_trusted_than_the_verifier():
    task = load_task("reasoning-gym.countdown")
    assert task.gives_rewards
    assert not task.rewards_trusted
