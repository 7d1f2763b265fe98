"""What a training step rewards, logs and writes down."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.errors import DataError, ModelError, TooManyAbstentions
from rrr_core.generation import ModelSettings
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.training import run as training_run
from rrr_core.training.run import train
from rrr_core.training.sampler import FailureOrder, FailureSampler
from rrr_core.training.trainer import ReflectionTrainer
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """(turns, rewards, advantages) of each step trained in the test."""
    kept: list[tuple[Any, ...]] = []

    class Kept(ReflectionTrainer):
        def __init__(self, *, on_turns: Any, **arguments: Any) -> None:
            def both(step: int, turns: Any, rewards: Any, advantages: Any) -> None:
                kept.append((turns, list(rewards), list(advantages)))
                on_turns(step, turns, rewards, advantages)

            super().__init__(on_turns=both, **arguments)

    monkeypatch.setattr(training_run, "ReflectionTrainer", Kept)
    return kept


def test_a_group_is_g_reflections_on_one_failed_attempt(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    assert len(steps) == settings.steps
    for turns, _, _ in steps:
        for start in range(0, len(turns), settings.group_size):
            group = turns[start : start + settings.group_size]
            assert len({turn.failure.failure_id for turn in group}) == 1
            assert len({tuple(turn.reflection_ids) for turn in group}) > 1


def test_an_abstention_is_no_reward_and_no_part_of_the_baseline(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(abstain_every=3), failures, model_settings, tmp_path / "t", settings)
    withheld = 0
    for turns, rewards, advantages in steps:
        for start in range(0, len(turns), settings.group_size):
            group = slice(start, start + settings.group_size)
            judged = [reward for reward in rewards[group] if reward is not None]
            mean = sum(judged) / len(judged) if judged else 0.0
            for turn, reward, advantage in zip(turns[group], rewards[group], advantages[group], strict=True):
                if turn.verdict.is_abstained:
                    withheld += 1
                    assert reward is None
                    assert advantage == 0.0
                else:
                    assert reward == turn.verdict.reward
                    assert (advantage > 0) == (reward > mean)
    assert withheld > 5


def test_too_many_abstentions_stop_the_run_and_name_the_plugin(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    strict = dataclasses.replace(settings, max_abstain=0.01, steps=20)
    with pytest.raises(TooManyAbstentions, match="rrr-coin 1.0"):
        train(CoinTask(abstain_every=3), failures, model_settings, tmp_path / "t", strict)


def test_placebo_keeps_the_rewards_and_shuffles_whose_they_are(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, credit="placebo"))
    moved = 0
    for turns, rewards, _ in steps:
        true = [turn.verdict.reward for turn in turns]
        assert sorted(rewards) == sorted(true)
        moved += rewards != true
    assert moved > 0


def test_metrics_of_each_step_say_what_its_turns_say(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(abstain_every=5), failures, model_settings, tmp_path / "t", settings)
    records = lines(tmp_path / "t" / "metrics.jsonl")
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    for record, (turns, rewards, _) in zip(records, steps, strict=True):
        judged = [turn for turn in turns if not turn.verdict.is_abstained]
        assert record["retry_success_rate"] == pytest.approx(sum(t.verdict.is_passed for t in judged) / len(judged))
        assert record["reward"] == pytest.approx(record["retry_success_rate"])
        assert record["abstentions"] == len(turns) - len(judged)
        assert record["reflection_tokens"] == pytest.approx(sum(len(t.reflection_ids) for t in turns) / len(turns))
        answers = ["".join((turn.retry or "").split()) for turn in turns]
        contain = [bool(a) and a in "".join(t.reflection.split()) for a, t in zip(answers, turns, strict=True)]
        assert record["reflections_with_retry_answer"] == pytest.approx(sum(contain) / len(turns))
        assert record["reflections_empty"] == pytest.approx(sum(not t.reflection.strip() for t in turns) / len(turns))
        assert record["reflections_empty"] + record["reflections_cut_off"] > 0
        groups = defaultdict(list)
        for index, reward in enumerate(rewards):
            groups[index // settings.group_size].append(reward)
        alike = [len({r for r in group if r is not None}) < 2 for group in groups.values()]
        assert record["groups_without_spread"] == pytest.approx(sum(alike) / len(alike), abs=1e-6)
        assert {"kl", "learning_rate", "grad_norm", "loss"} <= record.keys()


def test_kept_episodes_are_whole_groups_with_their_tokens_and_advantages(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    kept = dataclasses.replace(settings, episodes_per_step=4)
    train(CoinTask(), failures, model_settings, tmp_path / "t", kept)
    records = lines(tmp_path / "t" / "episodes.jsonl")
    assert [record["step"] for record in records] == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    for record, turn in zip(records[:4], steps[0][0], strict=False):
        assert record["reflection"] == turn.reflection
        assert len(record["token_texts"]) == len(turn.reflection_ids)
        assert record["advantage"] == pytest.approx(steps[0][2][records.index(record)], abs=1e-5)


def test_lora_trains_an_adapter_that_loads_and_leaves_the_model_as_it_was(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    summary = train(
        CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, lora_rank=4, lora_alpha=8)
    )
    assert (Path(summary.model) / "adapter_model.safetensors").exists()
    base = load_transformers(model_settings.model)
    adapted = load_transformers(summary.model)
    with pytest.raises(ModelError, match="whole weights"):
        train(CoinTask(), failures, ModelSettings(model=summary.model), tmp_path / "again", settings)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert not torch.equal(base.network(input_ids=ids).logits, adapted.network(input_ids=ids).logits)


def test_an_empty_failure_set_is_one_clear_error(model_settings: Any, settings: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="empty"):
        train(CoinTask(), [], model_settings, tmp_path / "t", settings)


def test_fewer_failures_than_groups_are_trained_on_more_than_once_a_step(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures[:3], model_settings, tmp_path / "t", dataclasses.replace(settings, steps=1))
    ((turns, _, _),) = steps
    assert {turn.failure.failure_id for turn in turns} <= {"0-0", "1-0", "2-0"}
    assert len(turns) == settings.batch_size


def test_each_epoch_is_another_permutation_and_the_same_one_each_time() -> None:
    def epoch(number: int) -> list[int]:
        sampler = FailureSampler(FailureOrder(failures=10, groups=5, seed=1, repeats=3), group_size=2)
        sampler.set_epoch(number)
        return list(sampler)

    assert epoch(0) == epoch(0) != epoch(1)
    assert len(epoch(0)) == 10 * 2 * 3
    batch = epoch(0)[:30]
    assert batch[:10] == batch[10:20] == batch[20:]
    assert set(epoch(0)) == set(range(10))


def test_metrics_reach_the_trackers_that_transformers_reports_to(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(
        CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, report_to=("tensorboard",))
    )
    (events,) = (tmp_path / "t").rglob("events.out.tfevents.*")
    accumulator = EventAccumulator(str(events))
    accumulator.Reload()
    logged = [event.value for event in accumulator.Scalars("train/retry_success_rate")]
    written = [record["retry_success_rate"] for record in lines(tmp_path / "t" / "metrics.jsonl")]
    assert logged == pytest.approx(written)
