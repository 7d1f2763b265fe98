"""A plan from a past run takes its texts and rates from the folder, of one task or of several."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_core.errors import DataError
from rrr_core.evaluation import EvalSettings, evaluate
from rrr_core.mining import MineSettings, mine
from rrr_core.planning.lengths import Lengths
from rrr_core.planning.past import read_past, read_profiles
from rrr_core.planning.rendered import Rendered
from rrr_core.runs.layout import TRAINED, VANILLA, RunFolder
from tests.fakes import Conversation, ScriptedGenerator, numbers_task


@pytest.fixture
def prompts() -> Rendered:
    chat: Any = SimpleNamespace(tokenizer=lambda text, **_: {"input_ids": list(text)})
    return Rendered(chat, Lengths((10.0,)), 2, 12.0, 8.0, {"train": 20, "test": 20}, extends=True)


def script(share: float) -> ScriptedGenerator:
    """First tries of 5 bytes, of which this share is right; reflections of 11; retries that are always right."""

    def answer(conversation: Conversation, chance: random.Random) -> str:
        turns = len([one for one in conversation if one["role"] == "assistant"])
        if turns == 1:
            return "I was wrong"
        return "right" if turns > 1 or chance.random() < share else "wrong"

    return ScriptedGenerator(answer)


def write_part(run: RunFolder) -> None:
    task = numbers_task()
    mine(task, script(0.5), run.mine.path, MineSettings(rows=20, tries=2), {})
    for label, share in ((VANILLA, 0.5), (TRAINED, 0.9)):
        folder = run.evaluation(label).path
        evaluate(task, script(share), folder, label, EvalSettings(rows=20), {})


def write_training(run: RunFolder, *lines: dict[str, float]) -> None:
    run.train.path.mkdir(parents=True)
    run.train.manifest.write_text(json.dumps({"identity": {"settings": {"group_size": 4}}}))
    run.train.metrics.write_text(
        "".join(json.dumps({"step": number + 1} | line) + "\n" for number, line in enumerate(lines))
    )


def test_texts_and_rates_are_those_of_the_folder(tmp_path: Path, prompts: Rendered) -> None:
    run = RunFolder(tmp_path)
    write_part(run)
    phases = read_past(run, prompts)
    assert phases.before.texts.attempt.mean == 5
    assert phases.before.texts.reflection.mean == 11
    assert 0.3 < phases.before.behaviour.sampled.mean < 0.7
    assert phases.after.behaviour.greedy > phases.before.behaviour.greedy
    assert phases.training == phases.before


def test_training_changes_the_lengths_and_the_rates_of_its_own_phase(tmp_path: Path, prompts: Rendered) -> None:
    run = RunFolder(tmp_path)
    write_part(run)
    write_training(run, {"reflection_tokens": 20.0, "retry_success_rate": 0.2}, {"reflection_tokens": 24.0})
    training = read_past(run, prompts).training
    assert training.texts.reflection.mean == 22
    assert training.behaviour.retries.mean == 0.2


def test_each_of_several_tasks_has_its_own_rate_and_the_growth_of_them_all(tmp_path: Path, prompts: Rendered) -> None:
    run = RunFolder(tmp_path)
    for name in ("one", "other"):
        write_part(run.of_task(name))
    rates = {"retry_success_rate/one": 0.25, "retry_success_rate/other": 0.75, "retry_success_rate": 0.5}
    write_training(run, {"reflection_tokens": 40.0} | rates, {"reflection_tokens": 80.0} | rates)
    found = {name: read_past(run.of_task(name), prompts).training for name in ("one", "other")}
    assert [each.behaviour.retries.mean for each in found.values()] == [0.25, 0.75]
    assert all(each.texts.reflection.mean == 11 * 1.5 for each in found.values())


def test_the_profiles_of_all_parts_are_read(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for name in ("one", "other"):
        write_part(run.of_task(name))
    assert set(read_profiles(tmp_path)) == {
        f"tasks/{name}/{stage}" for name in ("one", "other") for stage in ("mine", "eval/vanilla", "eval/trained")
    }


def test_a_task_that_the_run_did_not_have_is_named(tmp_path: Path, prompts: Rendered) -> None:
    with pytest.raises(DataError, match="tasks/third holds no run to learn from"):
        read_past(RunFolder(tmp_path).of_task("third"), prompts)
