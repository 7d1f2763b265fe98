"""What a training step rewards, logs and records."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.episode import Episode
from rrr_core.errors import DataError, ModelError, TooManyAbstentions
from rrr_core.generation import ModelSettings
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.training.run import train
from rrr_core.training.sampler import FailureOrder, FailureSampler
from rrr_core.training.trainer import ReflectionTrainer
from tests.fakes import KeptProgress
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_group_is_g_reflections_on_one_failed_attempt(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    assert len(steps) == settings.steps
    for episodes, _, _ in steps:
        for start in range(0, len(episodes), settings.group_size):
            group = episodes[start : start + settings.group_size]
            assert len({episode.row_index for episode in group}) == 1
            assert len({episode.rounds[0].reflection.ids for episode in group}) > 1


def test_the_progress_of_a_step_shows_the_figure_of_that_step(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    progress = KeptProgress()
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings, progress)
    rates = [line["retry_success_rate"] for line in lines(tmp_path / "t" / "metrics.jsonl")]
    assert len(set(rates)) > 1
    assert progress.notes == [f"retry success {rate:.0%}" for rate in rates]
    assert progress.done == settings.steps


def test_an_abstention_is_no_reward_and_no_part_of_the_baseline(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(abstain_every=3), failures, model_settings, tmp_path / "t", settings)
    withheld = 0
    for episodes, rewards, advantages in steps:
        for start in range(0, len(episodes), settings.group_size):
            group = slice(start, start + settings.group_size)
            judged = [reward for reward in rewards[group] if reward is not None]
            mean = sum(judged) / len(judged) if judged else 0.0
            for episode, reward, advantage in zip(episodes[group], rewards[group], advantages[group], strict=True):
                if episode.last_verdict.is_abstained:
                    withheld += 1
                    assert reward is None
                    assert advantage == 0.0
                else:
                    assert reward == episode.last_verdict.reward
                    assert (advantage > 0) == (reward > mean)
    assert withheld > 5


def test_too_many_abstentions_stop_the_run_and_name_the_plugin(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    strict = dataclasses.replace(settings, max_abstain=0.01, steps=20)
    with pytest.raises(TooManyAbstentions, match="rrr-coin 1.0"):
        train(CoinTask(abstain_every=3), failures, model_settings, tmp_path / "t", strict)


def test_a_step_that_samples_no_new_texts_has_its_line_of_metrics_too(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    twice = dataclasses.replace(settings, grpo={"num_iterations": "2"})
    train(CoinTask(), failures, model_settings, tmp_path / "t", twice)
    records = lines(tmp_path / "t" / "metrics.jsonl")
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    assert all({"loss", "grad_norm", "learning_rate"} <= set(record) for record in records)
    assert ["retry_success_rate" in record for record in records] == [True, False, True, False]


def test_placebo_keeps_the_rewards_and_shuffles_whose_they_are(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, credit="placebo"))
    moved = 0
    for episodes, rewards, _ in steps:
        true = [episode.last_verdict.reward for episode in episodes]
        assert sorted(rewards) == sorted(true)
        moved += rewards != true
    assert moved > 0


def test_metrics_of_each_step_say_what_its_turns_say(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(abstain_every=5), failures, model_settings, tmp_path / "t", settings)
    records = lines(tmp_path / "t" / "metrics.jsonl")
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    for record, (episodes, rewards, _) in zip(records, steps, strict=True):
        judged = [episode.last_verdict for episode in episodes if not episode.last_verdict.is_abstained]
        passing = sum(verdict.is_passed for verdict in judged)
        rounds = [one for episode in episodes for one in episode.rounds]
        reflections = [one.reflection for one in rounds]
        count = len(episodes)
        assert record["retry_success_rate"] == pytest.approx(passing / len(judged))
        assert record["reward"] == pytest.approx(record["retry_success_rate"])
        assert record["abstentions"] == count - len(judged)
        assert record["reflection_tokens"] == pytest.approx(sum(len(each.ids) for each in reflections) / count)
        answers = ["" if one.retry is None else "".join(one.retry.text.split()) for one in rounds]
        squeezed = ["".join(each.text.split()) for each in reflections]
        contain = [bool(a) and a in text for a, text in zip(answers, squeezed, strict=True)]
        assert record["reflections_with_retry_answer"] == pytest.approx(sum(contain) / count)
        assert record["reflections_empty"] == pytest.approx(squeezed.count("") / count)
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
    for record, episode in zip(records[:4], steps[0][0], strict=False):
        reflection, kept = (
            episode.rounds[0].reflection,
            Episode.from_json(record, "episodes.jsonl:1").rounds[0].reflection,
        )
        assert kept.text == reflection.text
        assert kept.is_trained
        assert kept.ids == ()
        assert len(kept.token_texts) == kept.length == len(reflection.ids)
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
    ((episodes, _, _),) = steps
    assert {episode.row_index for episode in episodes} <= {0, 1, 2}
    assert len(episodes) == settings.batch_size


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


def test_a_text_that_only_the_templates_end_of_turn_ends_is_not_truncated(
    failures: Any, settings: Any, tiny_model: Path, tmp_path: Path
) -> None:
    """As with Qwen2.5's base model: its tokenizer and generation configuration name another end than the template's."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    tokenizer = load_transformers(str(tiny_model)).tokenizer
    other = next(token for token in tokenizer.added_tokens_decoder.values() if token.content != tokenizer.eos_token)
    changes = {"eos_token": other.content}, {"eos_token_id": tokenizer.convert_tokens_to_ids(other.content)}
    for name, change in zip(
        ("tokenizer_config.json", "config.json", "generation_config.json"), (*changes, changes[1]), strict=True
    ):
        (folder / name).write_text(json.dumps({**json.loads((folder / name).read_text()), **change}))
    recorded = []
    for option in ({}, {"mask_truncated_completions": "true"}):
        whole = dataclasses.replace(settings, steps=1, max_reflection_tokens=60, grpo=option)
        train(CoinTask(), failures, ModelSettings(model=str(folder)), tmp_path / f"t{len(option)}", whole)
        recorded += lines(tmp_path / f"t{len(option)}" / "metrics.jsonl")
    assert [record["reflections_cut_off"] for record in recorded] == [0, 0]
    assert recorded[0]["grad_norm"] > 0
    for figure in ("loss", "grad_norm"):
        assert recorded[0][figure] == recorded[1][figure]


def test_truncated_texts_alone_are_masked_where_that_is_asked_for(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = []
    scored = ReflectionTrainer._generate_and_score_completions

    def score(self: ReflectionTrainer, inputs: Any) -> Any:
        output = scored(self, inputs)
        masked.append([not row.any() for row in output["completion_mask"]])
        return output

    monkeypatch.setattr(ReflectionTrainer, "_generate_and_score_completions", score)
    option = {"mask_truncated_completions": "true"}
    train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, grpo=option))
    cut_off = [[one.rounds[0].reflection.is_cut_off for one in episodes] for episodes, _, _ in steps]
    assert masked == cut_off
    assert any(map(any, cut_off))
