"""The worked conversations, and the embedded model that learned from them."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import rrr_sqlite
from rrr_sqlite import prompts, warmup
from rrr_sqlite.actions import parsed, step
from rrr_sqlite.generated import Recipe, draw_plan, names, query, row_of
from rrr_sqlite.judging import verify

Turns = list[dict[str, str]]


def some(count: int = 300, stage: warmup.Stage = warmup.LATE) -> list[tuple[Any, dict[str, Any], Turns]]:
    """Plans, rows and conversations."""
    rng = random.Random(0)
    made = []
    stray = draw_plan("warmup", Recipe(), rng)
    for _ in range(count):
        plan = draw_plan("warmup", Recipe(), rng)
        before = rng.getstate()
        row = row_of(plan, "warmup", rng)
        rng.setstate(before)
        made.append((plan, row, warmup.conversation(plan, stray, stage, rng)))
        stray = plan
    return made


def test_conversations_depend_on_the_seed_alone() -> None:
    def first(seed: int) -> list[Turns]:
        return list(warmup.conversations(50, Recipe(), seed))

    assert first(0) == first(0) != first(1)


def test_a_model_and_its_task_take_turns_and_the_model_has_the_last_word() -> None:
    for turns in warmup.conversations(300, Recipe(), 0):
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)


def test_what_the_task_says_to_an_action_is_what_the_step_gives() -> None:
    for _, row, turns in some():
        for said, heard in zip(turns[1::2], turns[2::2], strict=False):
            led = step(row, said["content"])
            if parsed(said["content"])[0] in ("schema", "sql"):
                assert heard["content"] == led.observation
            else:
                assert heard["content"] in (prompts.TINY_REFLECTION, prompts.tiny_again(row))


def test_a_conversation_goes_on_after_a_wrong_answer_and_ends_after_a_right_one() -> None:
    for _, row, turns in some():
        answers = [sql for turn in turns[1::2] for kind, sql in [parsed(turn["content"])] if kind == "answer"]
        assert len(answers) == 1 + (not verify(row, answers[0]).is_passed)


def test_the_second_course_is_right_after_the_rows_own_worked_reflection_and_rarely_after_another() -> None:
    right: dict[bool, Counter[bool]] = {True: Counter(), False: Counter()}
    for plan, row, turns in some(600, warmup.EARLY):
        if len(turns) > 2 and (texts := [turn["content"] for turn in turns]) and prompts.tiny_again(row) in texts:
            is_worked = any(warmup.worked(plan) in text for text in texts)
            right[is_worked][verify(row, parsed(texts[-1])[1]).is_passed] += 1
    assert right[True][False] == 0
    assert right[True][True] > 100
    assert right[False][True] < 0.3 * sum(right[False].values())


def test_a_worked_reflection_says_true_numbers_and_holds_no_query() -> None:
    rng = random.Random(0)
    for _ in range(200):
        plan = draw_plan("warmup", Recipe(), rng)
        text = warmup.worked(plan)
        assert str(plan.threshold) in text
        assert plan.count * plan.factor == plan.threshold
        assert "SELECT" not in text
        assert plan.table not in text


def test_warm_up_uses_names_that_no_other_job_reads() -> None:
    warm = {name for kind in names("warmup") for name in kind}
    for split in ("train", "test"):
        assert not warm & {name for kind in names(split) for name in kind}


def test_the_shares_add_up() -> None:
    for shares in (
        *(warmup.HASTY, warmup.PLAIN, warmup.HASTY_RETRY, warmup.PLAIN_RETRY, warmup.SLIPS, warmup.LOOKS, warmup.VAGUE),
        *(each for stage in (warmup.EARLY, warmup.LATE) for each in (stage.reflections, stage.numbers)),
    ):
        assert sum(shares.values()) == pytest.approx(1)


def test_an_answer_in_haste_passes_the_questions_number_on() -> None:
    rng = random.Random(0)
    plan = next(plan for _ in range(100) if (plan := draw_plan("warmup", Recipe(), rng)).factor > 1)
    row = row_of(plan, "warmup", rng)
    given = warmup.answer(plan, row, {"hasty": 1.0}, rng)
    assert given == warmup.Answer(query(plan, number=plan.count), "My number was wrong.")


class TestTheEmbeddedModel:
    folder = rrr_sqlite.EMBEDDED_MODEL

    def test_it_is_the_default_model(self) -> None:
        assert rrr_sqlite.rrr_default_model() == str(self.folder)

    def test_it_is_a_stock_architecture_in_safetensors_of_at_most_8_mb_with_a_fast_tokenizer(self) -> None:
        files = {path.name: path.stat().st_size for path in Path(self.folder).iterdir()}
        assert files["model.safetensors"] <= 8_000_000
        assert {"tokenizer.json", "chat_template.jinja"} <= files.keys()
        assert not any(name.endswith((".py", ".bin", ".pt", ".pkl")) for name in files)
        config = json.loads((Path(self.folder) / "config.json").read_text())
        assert config["architectures"] == ["LlamaForCausalLM"]
        assert config["rrr_family"] == prompts.TINY
        assert "auto_map" not in config

    def test_its_tokenizer_has_a_token_for_each_tag_of_the_lessons(self) -> None:
        added = json.loads((Path(self.folder) / "tokenizer.json").read_text())["added_tokens"]
        assert set(warmup.TAGS) <= {token["content"] for token in added}


def test_the_presets_are_for_the_commands_that_have_them() -> None:
    for command in ("demo", "warmup"):
        assert rrr_sqlite.rrr_presets(command)
    assert rrr_sqlite.rrr_presets("eval") is None
