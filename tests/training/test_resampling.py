"""Steps of full groups: zero-variance groups are replaced by groups on further failures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.episode import Episode, Failure, Segment
from rrr_core.training import run as training_run
from rrr_core.training import several
from rrr_core.training.batches import Group, resample
from rrr_core.training.credit import sampled_tokens
from rrr_core.training.rollout import Rollout
from rrr_core.training.run import train
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.verdicts import failed, passed
from tests.training.conftest import CoinTask
from tests.training.test_trainer import lines

pytestmark = pytest.mark.train


def group(failure: Failure, *passing: bool) -> Group:
    """A group with one episode per reward, of three sampled tokens each."""
    verdicts = [passed() if each else failed("tails") for each in passing]
    before = Segment("prompt", ids=(1,)), Segment("reflection", text="why", ids=(2, 3)), Segment("prompt", ids=(4,))
    return [
        failure.episode.extended(*before, Segment("retry", text="heads", ids=(5,), verdict=verdict))
        for verdict in verdicts
    ]


def is_zero_variance(episodes: Group) -> bool:
    return len({episode.last_verdict.reward for episode in episodes}) < 2


class Play:
    """Plays groups of two; their rewards differ on failures of the given rows."""

    def __init__(self, failures: Sequence[Failure], *spread: int) -> None:
        self.left, self.spread, self.rounds = list(failures), spread, list[int]()

    def further(self, count: int, number: int) -> list[Failure]:
        given, self.left = self.left[:count], self.left[count:]
        return given

    def play(self, failures: Sequence[Failure], number: int) -> list[Group]:
        self.rounds.append(number)
        return [group(failure, True, failure.row_index not in self.spread) for failure in failures]


def rows(groups: Sequence[Group]) -> list[int]:
    return [episodes[0].row_index for episodes in groups]


class TestRefilling:
    def test_replaces_the_zero_variance_groups_and_no_others(self, failures: Any) -> None:
        play = Play(failures[3:], 3, 4)
        first = [group(failures[0], True, True), group(failures[1], True, False), group(failures[2], False, False)]
        refilled = resample(first, is_zero_variance, play.further, play.play, 3)
        assert rows(refilled.groups) == [3, 1, 4]
        assert (refilled.replaced, refilled.tokens, play.rounds) == (2, 12, [1])

    def test_continues_until_every_group_has_variance(self, failures: Any) -> None:
        play = Play(failures[1:], 3)
        refilled = resample([group(failures[0], True, True)], is_zero_variance, play.further, play.play, 5)
        assert rows(refilled.groups) == [3]
        assert (refilled.replaced, refilled.tokens, play.rounds) == (1, 18, [1, 2, 3])

    def test_ends_after_its_rounds_with_the_groups_it_has(self, failures: Any) -> None:
        play = Play(failures[1:])
        refilled = resample([group(failures[0], True, True)], is_zero_variance, play.further, play.play, 2)
        assert rows(refilled.groups) == [2]
        assert play.rounds == [1, 2]

    def test_ends_when_failures_run_out(self, failures: Any) -> None:
        play = Play(failures[2:3])
        first = [group(failures[0], True, True), group(failures[1], True, True)]
        refilled = resample(first, is_zero_variance, play.further, play.play, 9)
        assert rows(refilled.groups) == [2, 1]
        assert (refilled.replaced, play.rounds) == (1, [1])

    def test_does_nothing_to_a_full_step(self, failures: Any) -> None:
        play = Play(failures)
        first = [group(failures[0], True, False)]
        assert resample(first, is_zero_variance, play.further, play.play, 3).groups == first
        assert play.rounds == []


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[list[Episode]]:
    """The episodes of each step trained in the test."""
    kept: list[list[Episode]] = []

    class Kept(ReflectionTrainer):
        def play_batch(self, prompts: Any, trainer: Any) -> dict[str, Any]:
            output = super().play_batch(prompts, trainer)
            kept.append(output["episode"])
            return output

    monkeypatch.setattr(training_run, "ReflectionTrainer", Kept)
    return kept


def groups_of(episodes: Sequence[Episode], size: int) -> list[list[Episode]]:
    return [list(episodes[start : start + size]) for start in range(0, len(episodes), size)]


def test_every_step_is_full_after_resampling(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Any
) -> None:
    many = dataclasses.replace(settings, zero_variance="resample", resample_rounds=50, batch_size=8)
    train(CoinTask(), failures, model_settings, tmp_path / "t", many)
    metrics = lines(tmp_path / "t" / "metrics.jsonl")
    assert len(steps) == many.steps
    for episodes in steps:
        groups = groups_of(episodes, many.group_size)
        assert not any(is_zero_variance(each) for each in groups)
        assert len({each[0].row_index for each in groups}) == len(groups)
        assert all(len({episode.row_index for episode in each}) == 1 for each in groups)
    assert [record["groups_without_spread"] for record in metrics] == [0] * many.steps
    assert sum(record["groups_refilled"] for record in metrics) > 0


def test_only_zero_variance_groups_are_replaced_and_every_sampled_token_is_counted(
    monkeypatch: pytest.MonkeyPatch, failures: Any, model_settings: Any, settings: Any, tmp_path: Any
) -> None:
    played: list[list[Episode]] = []

    class Kept(Rollout):
        def play(self, *arguments: Any) -> list[Episode]:
            played.append(super().play(*arguments))
            return played[-1]

    monkeypatch.setattr(several, "Rollout", Kept)
    one = dataclasses.replace(settings, steps=1, save_every=1)
    train(CoinTask(), failures, model_settings, tmp_path / "left", one)
    (left,) = played
    played.clear()
    train(
        CoinTask(),
        failures,
        model_settings,
        tmp_path / "full",
        dataclasses.replace(one, zero_variance="resample", seed=one.seed),
    )
    assert played[0] == left, "the step begins as ever"
    alike = sum(is_zero_variance(each) for each in groups_of(left, 4))
    assert alike > 0
    assert len(played[1]) == alike * 4
    (record,) = lines(tmp_path / "full" / "metrics.jsonl")
    assert record["groups_refilled"] == alike / 4
    assert record["sampled_tokens"] == sum(sampled_tokens(episode) for episodes in played for episode in episodes)
    first = {episode.row_index for episode in left}
    assert first.isdisjoint(episode.row_index for episodes in played[1:] for episode in episodes)


def test_without_resampling_a_step_is_just_the_rollout_on_the_samplers_failures(
    monkeypatch: pytest.MonkeyPatch, failures: Any, model_settings: Any, settings: Any, tmp_path: Any
) -> None:
    """The seeds are those that runs have always used: seed, step, forward pass, process."""
    calls: list[Any] = []

    class Kept(Rollout):
        def play(self, chosen: Any, seed: Any) -> list[Episode]:
            calls.append((list(chosen), seed))
            return super().play(chosen, seed)

        def attempt(self, *arguments: Any) -> Any:
            raise AssertionError("nothing is tried again")

    monkeypatch.setattr(several, "Rollout", Kept)
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    assert [seed for _, seed in calls] == [(0, step, 0, 0) for step in range(settings.steps)]
    for chosen, _ in calls:
        assert len(chosen) == settings.batch_size
        assert all(failure in failures for failure in chosen)
    epoch = [failure.failure_id for chosen, _ in calls[:3] for failure in chosen[::4]]
    assert sorted(epoch) == sorted(failure.failure_id for failure in failures)
