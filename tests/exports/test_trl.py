"""A task in TRL: the reward function, the data set, and a real step of GRPOTrainer with both."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rrr_core.errors import DataError, PluginError, TooManyAbstentions
from rrr_core.exports import trl as exported
from tests.conftest import FakeSite
from tests.exports.plugins import SHAKY


@pytest.fixture
def reward(site: FakeSite) -> Iterator[exported.RewardFunction]:
    site.install_task("shaky", SHAKY)
    with exported.reward_function("shaky", max_abstain=1.0) as reward:
        yield reward


def said(text: str | None) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": text}]


def rows(*numbers: int) -> list[str]:
    return [json.dumps({"number": number}) for number in numbers]


def test_each_completion_is_rewarded_by_its_own_row(reward: exported.RewardFunction) -> None:
    assert reward([said("1"), said("1"), said("3")], row=rows(1, 2, 3)) == [1.0, 0.0, 1.0]


def test_a_withheld_verdict_is_none_and_never_a_zero(reward: exported.RewardFunction) -> None:
    assert reward([said("crash"), said("2")], row=rows(1, 2)) == [None, 1.0]


def test_completions_may_be_plain_texts_or_empty(reward: exported.RewardFunction) -> None:
    assert reward(["1", "", said(None), []], row=rows(1, 1, 1, 1)) == [1.0, 0.0, 0.0, 0.0]


def test_a_run_whose_verifier_is_broken_is_stopped(site: FakeSite) -> None:
    site.install_task("shaky", SHAKY)
    with (
        exported.reward_function("shaky") as reward,
        pytest.raises(TooManyAbstentions, match="rrr-shaky 1.0"),
    ):
        reward([said("crash")] * 100, row=rows(1) * 100)


def test_verdicts_and_the_share_of_abstentions_are_logged(reward: exported.RewardFunction) -> None:
    extra: dict[str, Any] = {}
    reward(
        [said("crash"), said("2"), said("2"), said("2")],
        row=rows(1, 2, 3, 2),
        log_extra=extra.__setitem__,
        log_metric=extra.__setitem__,
    )
    assert extra == {"verdict": ["exception", "passed", "wrong number", "passed"], "shaky/abstained": 0.25}


def test_a_data_set_made_elsewhere_is_refused_naming_the_missing_column(reward: exported.RewardFunction) -> None:
    with pytest.raises(DataError, match=r"needs the column 'row': make the data set with rrr_core\.exports\.trl"):
        reward([said("1")], prompts=[said("?")])


def test_it_has_the_tasks_name_and_may_be_pickled(reward: exported.RewardFunction) -> None:
    with pickle.loads(pickle.dumps(reward)) as copy:
        assert copy.__name__ == "shaky"
        assert copy([said("1")], row=rows(1)) == [1.0]


def test_overlays_apply(site: FakeSite) -> None:
    site.install_task("shaky", SHAKY)
    with exported.reward_function("shaky", overlays=["noisy:probability=1"]) as reward:
        assert reward([said("1"), said("2")], row=rows(1, 1)) == [0.0, 1.0]


def test_a_task_that_is_not_installed_is_reported_at_once() -> None:
    with pytest.raises(PluginError, match="No task 'cuontdown' is installed. Did you mean 'countdown'"):
        exported.reward_function("cuontdown")


@pytest.mark.train
def test_the_data_set_has_the_prompts_as_messages_and_the_rows_as_text(site: FakeSite) -> None:
    pytest.importorskip("datasets")
    site.install_task("shaky", SHAKY)
    table = exported.dataset("shaky", "train", rows=2, data={"first": "5"}, model="Qwen/Qwen3-0.6B")
    assert table.column_names == ["prompt", "row"]
    assert [json.loads(text)["number"] for text in table["row"]] == [5, 6]
    assert table[0]["prompt"] == [
        {"role": "system", "content": "You are a qwen."},
        {"role": "user", "content": "Say 5."},
    ]


@pytest.mark.train
def test_a_split_without_rows_is_refused(site: FakeSite) -> None:
    pytest.importorskip("datasets")
    site.install_task("shaky", SHAKY)
    with pytest.raises(DataError, match="'shaky' has no rows in its split 'test'"):
        exported.dataset("shaky", "test", data={"first": "1000"})


@pytest.mark.train
def test_grpo_trains_on_it(site: FakeSite, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from trl import GRPOConfig, GRPOTrainer

    from rrr_core.training.tiny import make_model, make_tokenizer
    from rrr_core.training.warmup_settings import WarmupSettings

    # Random text gets all three verdicts, by its length, so groups have some of each.
    source = SHAKY.replace('answer == "crash"', "len(answer) % 3 == 0")
    source = source.replace('answer == str(row["number"])', "len(answer) % 3 == 1")
    site.install_task("spread", source)
    tokenizer = make_tokenizer(["Say 1. You are generic"] * 4, 512 + 64)
    model = make_model(tokenizer, WarmupSettings(hidden_size=32, layers=2, heads=2, context=128, seed=3))
    kept: list[list[float | None]] = []

    class Kept(exported.RewardFunction):
        def __call__(self, *arguments: Any, **columns: Any) -> list[float | None]:
            kept.append(super().__call__(*arguments, **columns))
            return kept[-1]

    with Kept("spread", max_abstain=1.0) as reward:
        trainer = GRPOTrainer(
            model=model,
            processing_class=tokenizer,
            reward_funcs=reward,
            train_dataset=exported.dataset("spread", rows=4),
            args=GRPOConfig(
                output_dir=str(tmp_path),
                max_steps=2,
                per_device_train_batch_size=8,
                num_generations=8,
                max_completion_length=6,
                learning_rate=1e-3,
                use_cpu=True,
                bf16=False,
                report_to=[],
                logging_steps=1,
                save_strategy="no",
            ),
        )
        trainer.train()
    rewards = {reward for batch in kept for reward in batch}
    assert rewards == {None, 0.0, 1.0}
    logged = [entry for entry in trainer.state.log_history if "rewards/spread/mean" in entry]
    assert len(logged) == 2
    for entry, batch in zip(logged, kept, strict=True):
        judged = [reward for reward in batch if reward is not None]
        assert entry["rewards/spread/mean"] == pytest.approx(sum(judged) / len(judged), abs=1e-5)
        assert entry["spread/abstained"] == pytest.approx(batch.count(None) / len(batch))
