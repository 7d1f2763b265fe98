"""Consolidation: what reflecting found reaches the first try, and nothing else of a step changes."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file

from rrr_core.episode import Episode, Segment
from rrr_core.errors import RrrError
from rrr_core.evaluation.controls import read_evaluated
from rrr_core.training import run as training_run
from rrr_core.training.advantages import has_signal, weighed
from rrr_core.training.consolidation import first_try_measures, first_try_places, shuffled
from rrr_core.training.credit import is_first_try
from rrr_core.training.distillation import Distillation, Target, targets_of
from rrr_core.training.options import grpo_config
from rrr_core.training.passes import longest_completion
from rrr_core.training.rollout import Rollout
from rrr_core.training.run import train
from rrr_core.training.settings import TrainSettings
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.verdicts import Verdict, abstained, failed, passed
from tests.episodes import make_failure
from tests.training.conftest import CoinTask
from tests.training.test_trainer import lines

pytestmark = pytest.mark.train


def first_try(verdict: Verdict, index: int = 0) -> Episode:
    asked = Segment("prompt", ({"role": "user", "content": "Go."},), ids=(1, 2))
    return Episode(index, {}, (asked, Segment("attempt", text="heads", ids=(5, 0), verdict=verdict, is_trained=True)))


def reflecting(verdict: Verdict, *retry: int, index: int = 0) -> Episode:
    """An episode whose retry has these ids; without ids the chat template rewrote what was before it."""
    return make_failure(index).episode.extended(
        Segment("prompt", ids=(3, index)),
        Segment("reflection", text="why", ids=(4,), is_trained=True),
        Segment("prompt", ids=(5,) if retry else ()),
        Segment("retry", text="heads", ids=retry, verdict=verdict),
    )


def targets(*episodes: Episode) -> list[Target]:
    passes = [episode.last_verdict.is_passed for episode in episodes]
    return targets_of(episodes, passes, lambda messages: [1, len(messages)])


class TestTargets:
    def test_a_failures_target_is_its_first_passing_retry_after_its_first_prompt(self) -> None:
        group = reflecting(failed("x"), 6, 0), reflecting(passed(), 7, 8, 0), reflecting(passed(), 9, 0)
        assert targets(*group) == [Target((1, 1), (7, 8, 0))]

    def test_a_failure_without_a_passing_retry_has_none(self) -> None:
        assert targets(reflecting(failed("x"), 6), reflecting(abstained("exception", "planted"), 7)) == []

    def test_first_tries_are_none(self) -> None:
        assert targets(first_try(passed()), first_try(passed())) == []

    def test_a_retry_whose_ids_were_not_kept_is_none_and_the_next_takes_its_place(self) -> None:
        assert targets(reflecting(passed()), reflecting(passed(), 7)) == [Target((1, 1), (7,))]

    def test_a_failure_of_two_groups_has_one(self) -> None:
        twice = [reflecting(passed(), 6), reflecting(passed(), 7)] * 2
        assert targets(*twice) == [Target((1, 1), (6,))]
        other = [reflecting(passed(), 6, index=1), reflecting(passed(), 7, index=1)]
        assert len(targets(*twice, *other)) == 2


class TestPlacebo:
    def test_first_tries_and_reflections_are_shuffled_each_among_themselves(self) -> None:
        episodes = [first_try(passed()), reflecting(passed())] * 6
        values = [f"{'first' if is_first_try(episode) else 'second'} {n}" for n, episode in enumerate(episodes)]
        mixed = shuffled(values, episodes, seed=3)
        assert sorted(mixed) == sorted(values) != mixed
        assert [value.split()[0] for value in mixed] == [value.split()[0] for value in values]

    def test_without_first_tries_it_is_the_shuffle_that_runs_have_always_used(self) -> None:
        values = list(range(20))
        random.Random(5).shuffle(values)
        assert shuffled(range(20), [reflecting(passed())] * 20, seed=5) == values


class TestSeveralRounds:
    """First tries beside groups of several rounds have the advantages of plain GRPO."""

    settings = TrainSettings(rounds=2, group_size=2, consolidate="reward")

    def test_a_first_trys_advantage_is_against_its_own_group(self) -> None:
        episodes = [reflecting(passed(), 6), reflecting(failed("x"), 7), first_try(passed()), first_try(failed("x"))]
        found = weighed(episodes, self.settings, "none", (0,))
        assert [segment.advantage for each in found for segment in each.segments if segment.is_trained] == [
            0.5, -0.5, 0.5, -0.5
        ]  # fmt: skip
        assert has_signal(episodes[2:], self.settings)
        assert not has_signal([first_try(passed()), first_try(abstained("exception", "planted"))], self.settings)

    def test_the_placebo_shuffles_them_among_themselves(self) -> None:
        placebo = dataclasses.replace(self.settings, credit="placebo", group_size=24)
        episodes = [*(first_try(failed("x")) for _ in range(24)), *(reflecting(passed(), 6) for _ in range(24))]
        found = weighed(episodes, placebo, "none", (0,))
        assert {segment.advantage for each in found for segment in each.segments if segment.is_trained} == {0.0}


class TestPlaces:
    settings = TrainSettings(consolidate="reward", consolidate_share=0.25)

    def test_are_the_share_of_the_groups_drawn_by_the_seed(self) -> None:
        drawn = {first_try_places(self.settings, 16, (0, step)) for step in range(8)}
        assert {len(places) for places in drawn} == {4}
        assert len(drawn) > 1
        assert first_try_places(self.settings, 16, (0, 1)) == first_try_places(self.settings, 16, (0, 1))

    def test_are_one_at_least(self) -> None:
        assert len(first_try_places(dataclasses.replace(self.settings, consolidate_share=0.01), 2, (0,))) == 1

    def test_are_all_with_credit_attempt_and_none_without_consolidation(self) -> None:
        assert first_try_places(TrainSettings(credit="attempt"), 3, (0,)) == {0, 1, 2}
        assert first_try_places(TrainSettings(consolidate="distill"), 3, (0,)) == frozenset()


class TestTheLoss:
    """Of two processes with two micro-batches each."""

    def test_is_the_mean_over_the_tokens_of_all_micro_batches_and_processes(self) -> None:
        own = [[Target((1,), (2, 3)), Target((1,), (4,)), Target((1,), (5, 6, 7))], [Target((1,), (8,))]]
        counted = [sum(len(target.answer) for target in one) for one in own]
        logps = {token: torch.tensor(-float(token)) for target in chain(*own) for token in target.answer}
        likelihoods: list[Any] = []
        gathered: list[Any] = counted
        losses = []
        for targets in own:
            one = Distillation(0.5, lambda mine: likelihoods.extend(mine) or gathered)  # noqa: B023
            one.targets, gathered = targets, counted
            for place, micro_batch in enumerate(one.deal([{}, {}])):
                gathered = [(0.0, 1)]
                one.rows = micro_batch["targets"]
                width = max((len(target.answer) for target in one.rows), default=0)
                one.logps = torch.tensor(
                    [[*(float(logps[token]) for token in each.answer), *[9.0] * (width - len(each.answer))]
                     for each in one.rows]
                )  # fmt: skip
                losses.append(float(one.loss(passes=1.0, is_last=place == 1)[0]))
        mean = (2 + 3 + 4 + 5 + 6 + 7 + 8) / 7
        assert sum(losses) / 2 == pytest.approx(0.5 * mean)

    def test_is_nothing_without_targets(self) -> None:
        one = Distillation(0.5, list)
        (micro_batch,) = one.deal([{"rows": 1}])
        assert micro_batch == {"rows": 1, "targets": ()}
        assert one.loss(passes=1.0, is_last=True) == (0.0, None)

    def test_is_logged_as_the_mean_over_the_steps_tokens_without_its_weight(self) -> None:
        one = Distillation(0.5, list)
        for last, ids in ((False, (2, 3)), (True, (4,))):
            one.rows, one.logps = [Target((1,), ids)], torch.tensor([[-float(token) for token in ids]])
            _, mean = one.loss(passes=1.0, is_last=last)
        assert mean == pytest.approx(3)


def test_targets_are_further_rows_of_a_padded_batch_whose_own_rows_stay_as_they_are() -> None:
    one = Distillation(1.0, list)
    one.rows = [Target((7, 8, 9), (5,)), Target((6,), (1, 2, 3))]
    ids, mask = torch.tensor([[0, 4, 2, 3], [4, 4, 3, 0]]), torch.tensor([[0, 1, 1, 1], [1, 1, 1, 0]])
    wider, real, width = one.beside(ids, mask, 2, padding=0)
    assert width == 3
    assert wider.tolist() == [[0, 0, 4, 2, 3, 0], [0, 4, 4, 3, 0, 0], [7, 8, 9, 5, 0, 0], [0, 0, 6, 1, 2, 3]]
    assert real.tolist() == [[0, 0, 1, 1, 1, 0], [0, 1, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1]]


def test_first_tries_are_measured_without_abstentions() -> None:
    tries = [first_try(passed()), first_try(failed("x")), first_try(abstained("exception", "planted"))]
    measures = first_try_measures(tries)
    assert measures["first_try_success_rate"] == measures["first_try_reward"] == 0.5
    assert (measures["first_try_tokens"], measures["first_tries_cut_off"]) == (2, 0)
    assert first_try_measures([]) == {}


def test_a_training_completion_may_be_as_long_as_anything_that_is_trained() -> None:
    limits = {"max_reflection_tokens": 5, "max_retry_tokens": 6, "max_attempt_tokens": 7}
    for changes, longest in (
        ({}, 5), ({"consolidate": "distill"}, 6), ({"consolidate": "reward"}, 7), ({"credit": "attempt"}, 7),
        ({"credit": "all", "consolidate": "both"}, 11),
    ):  # fmt: skip
        assert longest_completion(TrainSettings(**limits, **changes)) == longest  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"distill_weight": 0.5}, "--distill-weight would change nothing without --consolidate distill or both"),
        ({"consolidate": "reward", "distill_weight": 0.5}, "--distill-weight would change nothing"),
        ({"consolidate": "distill", "consolidate_share": 0.5}, "--consolidate-share would change nothing"),
        ({"consolidate": "distill", "distill_weight": 0.0}, "--distill-weight 0 learns nothing"),
        ({"consolidate": "reward", "consolidate_share": 0.0}, "makes 0 of the 32 groups"),
        ({"consolidate": "both", "consolidate_share": 1.0}, "makes 32 of the 32 .*or use --credit attempt"),
        ({"consolidate": "reward", "batch_size": 8}, "makes 0 of the 1 group sampled at once"),
        ({"consolidate": "reward", "group_size": 64, "grpo": {"steps_per_generation": 1}}, "not whole groups of 64"),
        ({"credit": "attempt", "consolidate": "distill"}, "--consolidate distill would change nothing"),
        ({"credit": "attempt", "rounds": 2}, "--rounds would change nothing"),
        ({"credit": "attempt", "refresh_every": 2}, "--refresh-every would change nothing"),
        ({"credit": "attempt", "on_policy_attempts": True}, "--on-policy-attempts would change nothing"),
    ],
)
def test_options_that_do_not_act_are_one_clear_line(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(RrrError, match=said) as raised:
        grpo_config(TrainSettings(**changes), tmp_path, "float32", None, 1)
    assert "\n" not in str(raised.value)


def test_plain_grpo_has_attempts_as_long_as_their_limit(tmp_path: Path) -> None:
    made = grpo_config(TrainSettings(credit="attempt", max_attempt_tokens=77), tmp_path, "float32", None, 1)
    assert made.max_completion_length == 77


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[ReflectionTrainer]:
    """The trainers of this test; each keeps the episodes of its steps."""
    made: list[ReflectionTrainer] = []

    class Kept(ReflectionTrainer):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.played: list[list[Episode]] = []
            self.distilled: list[list[Target]] = []
            made.append(self)

        def play_batch(self, prompts: Any, trainer: Any) -> dict[str, Any]:
            output = super().play_batch(prompts, trainer)
            self.played.append(output["episode"])
            self.distilled.append([] if self.distillation is None else list(self.distillation.targets))
            return output

    monkeypatch.setattr(training_run, "ReflectionTrainer", Kept)
    return made


FIXED = [Target((10, 11, 12), (20, 21, 22)), Target((13,), (23, 24)), Target((10, 14), (25, 26, 27, 28))]


class Hopeless(CoinTask):
    def verify(self, row: Any, answer: str) -> Verdict:
        return failed("tails")


class Easy(CoinTask):
    def verify(self, row: Any, answer: str) -> Verdict:
        return passed()


@pytest.fixture
def all_pass(monkeypatch: pytest.MonkeyPatch) -> CoinTask:
    """A task whose retries all pass. Empty and cut-off reflections get one, too, so that no group has variance."""
    monkeypatch.setattr("rrr_core.training.rollout.without_retry", lambda reflection: None)
    return Easy()


def groups_of(episodes: list[Episode], size: int = 4) -> list[list[Episode]]:
    return [episodes[start : start + size] for start in range(0, len(episodes), size)]


def weights_of(folder: Path) -> dict[str, Any]:
    return dict(load_file(folder / "model" / "model.safetensors"))


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_a_share_of_each_steps_groups_are_first_tries_on_the_failures_first_prompt(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    mixed = dataclasses.replace(settings, consolidate="reward", consolidate_share=0.5, max_attempt_tokens=3)
    train(CoinTask(abstain_every=5), failures, model_settings, tmp_path / "t", mixed)
    (trainer,) = steps
    chat, known = trainer.rollout.engine.chat, {failure.row_index: failure for failure in failures}
    cut_off = 0
    for episodes, line in zip(trainer.played, lines(tmp_path / "t" / "metrics.jsonl"), strict=True):
        groups = groups_of(episodes)
        kinds = [{is_first_try(episode) for episode in group} for group in groups]
        assert sorted(map(min, kinds)) == sorted(map(max, kinds)) == [False, False, True, True]
        tries = [episode for episode in episodes if is_first_try(episode)]
        for episode in tries:
            asked, attempt = episode.segments
            assert asked.ids == tuple(chat.encode_prompt(known[episode.row_index].prompt))
            assert attempt.verdict == CoinTask(abstain_every=5).verify(episode.row, attempt.text)
            assert attempt.is_trained
            assert len(attempt.ids) <= 3
            cut_off += attempt.is_cut_off
        judged = [episode.verdict for episode in tries if not episode.verdict.is_abstained]
        assert line["first_try_success_rate"] == pytest.approx(sum(one.is_passed for one in judged) / len(judged))
        others = [episode.last_verdict for episode in episodes if not is_first_try(episode)]
        others = [verdict for verdict in others if not verdict.is_abstained]
        assert line["retry_success_rate"] == pytest.approx(sum(one.is_passed for one in others) / len(others))
        written = sum(len(each.ids) for one in episodes for each in one.segments if not each.is_read)
        assert line["sampled_tokens"] == written
    assert cut_off


def test_a_first_trys_baseline_is_its_own_groups_and_its_record_says_what_was_trained(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, credit="attempt"))
    kept = [read_evaluated(line, "here") for line in lines(tmp_path / "t" / "episodes.jsonl")]
    assert len(kept) == settings.steps * settings.batch_size
    for group in groups_of(kept):
        rewards = torch.tensor([episode.reward for episode in group])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        assert [episode.advantage for episode in group] == pytest.approx(advantages.tolist(), abs=1e-5)
        for episode in group:
            assert [segment.role for segment in episode.segments] == ["prompt", "attempt"]
            assert episode.attempt.token_texts is not None
            assert episode.reward == episode.verdict.reward
    metrics = lines(tmp_path / "t" / "metrics.jsonl")
    assert all("retry_success_rate" not in line and 0 < line["first_try_success_rate"] < 1 for line in metrics)


def test_a_group_of_first_tries_that_is_resampled_stays_one(
    steps: Any, monkeypatch: pytest.MonkeyPatch, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    played: Counter[str] = Counter()
    for name in ("play", "first_tries"):
        inner = getattr(Rollout, name)

        def counted(self: Any, failures: Any, seed: Any, inner: Any = inner, name: str = name) -> Any:
            played[f"{name}{' again' if 'refill' in seed else ''}"] += len(failures)
            return inner(self, failures, seed)

        monkeypatch.setattr(Rollout, name, counted)
    mixed = dataclasses.replace(
        settings, consolidate="reward", consolidate_share=0.5, max_attempt_tokens=6, zero_variance="resample",
        resample_rounds=50, batch_size=8, group_size=2, steps=6, save_every=6, on_policy_attempts=True,
    )  # fmt: skip
    train(CoinTask(), failures, model_settings, tmp_path / "t", mixed)
    assert played["first_tries"] == played["play"] == 6 * 4
    assert played["first_tries again"]
    assert played["play again"]
    for episodes in steps[0].played:
        groups = groups_of(episodes, 2)
        assert sorted(is_first_try(group[0]) for group in groups) == [False, False, True, True]
        assert all(len({is_first_try(episode) for episode in group}) == 1 for group in groups)
    assert sum(line["groups_refilled"] for line in lines(tmp_path / "t" / "metrics.jsonl")) > 0


def test_passing_retries_are_learned_even_where_every_group_is_dropped(
    all_pass: CoinTask, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    distilling = dataclasses.replace(settings, consolidate="distill", kl=0.0)
    train(all_pass, failures, model_settings, tmp_path / "t", distilling)
    metrics = lines(tmp_path / "t" / "metrics.jsonl")
    assert [line["groups_without_spread"] for line in metrics] == [1.0] * settings.steps
    assert [line["distill_targets"] for line in metrics] == [4.0] * settings.steps
    before = load_file(Path(str(model_settings.model)) / "model.safetensors")
    assert not equal(weights_of(tmp_path / "t"), before)
    assert all(line["distill_loss"] > 0 for line in metrics)
    assert not any("kl" in line or "entropy" in line for line in metrics)


@pytest.mark.parametrize("task", [Hopeless, CoinTask])
def test_without_a_target_a_step_is_the_one_without_distilling(
    task: Any, steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("rrr_core.training.trainer.targets_of", lambda *_: [])
    for mode in ("none", "distill"):
        train(task(), failures, model_settings, tmp_path / mode, dataclasses.replace(settings, consolidate=mode))
    assert equal(weights_of(tmp_path / "none"), weights_of(tmp_path / "distill"))
    assert all("distill_loss" not in line for line in lines(tmp_path / "distill" / "metrics.jsonl"))


@pytest.mark.parametrize(
    ("changes", "generations"),
    [
        ({"lora_rank": 2, "learning_rate": 1e-2}, 8),
        ({"grpo": {"num_iterations": "2"}}, 4),
        ({"grpo": {"steps_per_generation": "4"}}, 4),
        ({"grpo": {"steps_per_generation": "1"}}, 8),
        ({"grpo": {"loss_type": "grpo"}}, 8),
        ({"shared_prompt": False, "group_size": 8}, 8),
    ],
    ids=str,
)
def test_retries_are_learned_with_adapters_and_however_often_a_generation_is_trained_on(
    changes: dict[str, Any],
    generations: int,
    all_pass: CoinTask,
    monkeypatch: Any,
    failures: Any,
    model_settings: Any,
    settings: Any,
    tmp_path: Path,
) -> None:
    """Nothing but distilling moves weights here, and the likelihood of what is learned rises from step to step."""
    monkeypatch.setattr("rrr_core.training.trainer.targets_of", lambda *_: FIXED)
    distilling = dataclasses.replace(
        settings, consolidate="distill", kl=0.0, steps=8, save_every=8, distill_weight=2.0, **changes
    )
    train(all_pass, failures, model_settings, tmp_path / "t", distilling)
    losses = [line["distill_loss"] for line in lines(tmp_path / "t" / "metrics.jsonl")]
    assert len(losses) == 8
    # The steps of one generation may take different parts of it.
    firsts = losses[:: 8 // generations]
    assert firsts == sorted(firsts, reverse=True)
    assert firsts[-1] < firsts[0]


def test_a_step_of_half_a_generation_has_the_gradient_of_the_generations_mean(
    all_pass: CoinTask, steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    """Two steps of plain SGD at a rate too small to change the likelihood add up to two steps of the whole mean."""
    sgd = dataclasses.replace(
        settings, consolidate="distill", kl=0.0, steps=2, save_every=2, learning_rate=1e-4, scheduler="constant",
        warmup_ratio=0.0, distill_weight=1.0,
    )  # fmt: skip
    moved = {}
    before = load_file(Path(str(model_settings.model)) / "model.safetensors")
    for label, batch, grpo in (("half", 16, {"steps_per_generation": "4"}), ("whole", 32, {})):
        one = dataclasses.replace(
            sgd, batch_size=batch, steps=2 if label == "half" else 1, save_every=2,
            grpo={"optim": "sgd", "max_grad_norm": "1e9", **grpo},
        )  # fmt: skip
        train(all_pass, failures, model_settings, tmp_path / label, one)
        moved[label] = {name: weight - before[name] for name, weight in weights_of(tmp_path / label).items()}
    assert steps[0].distilled[0] == steps[1].distilled[0]
    half, whole = (torch.cat([weight.flatten() for weight in moved[label].values()]) for label in ("half", "whole"))
    assert float((half - 2 * whole).norm() / whole.norm()) < 0.01


def test_under_the_placebo_the_shuffled_verdicts_choose_what_is_learned(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    shuffling = dataclasses.replace(settings, consolidate="both", credit="placebo", max_attempt_tokens=6, batch_size=32)
    train(CoinTask(), failures, model_settings, tmp_path / "t", shuffling)
    right = wrong = 0
    for episodes, found in zip(steps[0].played, steps[0].distilled, strict=True):
        verdicts = {
            each.rounds[0].retry.ids: each.last_verdict for each in episodes if each.rounds and each.rounds[0].retry
        }
        right += sum(verdicts[target.answer].is_passed for target in found)
        wrong += sum(not verdicts[target.answer].is_passed for target in found)
    assert right
    assert wrong
    kept = lines(tmp_path / "t" / "episodes.jsonl")
    tries = [line for line in kept if len(line["segments"]) == 2]
    differing = [line for line in tries if (line["segments"][1]["verdict"]["outcome"] == "passed") != line["reward"]]
    assert differing


def test_a_model_whose_template_drops_the_retrys_context_cannot_distil(settings: Any) -> None:
    from types import SimpleNamespace

    from rrr_core.training.preflight import fitted

    chat = SimpleNamespace(thinks=True, extends=lambda has_thought: not has_thought)
    with pytest.raises(RrrError, match="--consolidate distill .* use --keep-thoughts"):
        fitted(dataclasses.replace(settings, consolidate="distill"), chat)  # type: ignore[arg-type]
    fitted(dataclasses.replace(settings, consolidate="reward"), chat)  # type: ignore[arg-type]


def test_the_first_tries_of_an_engine_beside_the_policy_keep_what_it_drew_them_with(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    from rrr_core.training import rollout

    monkeypatch.setattr(rollout, "drawn_logprobs", lambda _, __, made: [tuple(-0.5 for _ in ids) for ids in made])
    drawn: list[Any] = []
    inner = ReflectionTrainer.play_batch

    def play(self: Any, *arguments: Any) -> Any:
        output = inner(self, *arguments)
        drawn.append([(len(ids), each) for ids, each in zip(output["completion_ids"], output["logprobs"], strict=True)])
        return output

    monkeypatch.setattr(ReflectionTrainer, "play_batch", play)
    mixed = dataclasses.replace(settings, consolidate="both", max_attempt_tokens=6)
    train(CoinTask(), failures, model_settings, tmp_path / "t", mixed)
    assert all(each == [-0.5] * length for one in drawn for length, each in one)


def test_a_manifest_without_consolidation_is_a_run_without_it(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    first = train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    path = tmp_path / "t" / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in ("consolidate", "distill_weight", "consolidate_share"):
        del manifest["identity"]["settings"][name]
    path.write_text(json.dumps(manifest))
    assert train(CoinTask(), failures, model_settings, tmp_path / "t", settings) == first
