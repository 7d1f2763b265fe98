"""What training pays: verdicts or the task's numbers, and a bonus for the length of reflections that helped."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.episode import Episode, Segment
from rrr_core.errors import DataError, RrrError
from rrr_core.training.advantages import has_signal, returns_of
from rrr_core.training.credit import CREDITS, reward_of, rewards_by_round
from rrr_core.training.rewards import Rewards, check_task_rewards
from rrr_core.training.run import train
from rrr_core.training.settings import TrainSettings
from rrr_core.verdicts import Verdict, abstained, failed, passed
from tests.fakes import KeptProgress
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


def reflection(length: int) -> Segment:
    return Segment("reflection", text="hm", length=length)


class TestByHand:
    @pytest.mark.parametrize(
        ("bonus", "length", "reward"),
        [(0.0, 32, 1.0), (0.5, 32, 1.25), (0.5, 64, 1.5), (-0.5, 16, 0.875), (-1.0, 64, 0.0), (1.0, 1, 1 + 1 / 64)],
    )
    def test_a_passing_retry_is_paid_1_and_its_reflections_share_of_the_bonus(
        self, bonus: float, length: int, reward: float
    ) -> None:
        assert Rewards(bonus, 64).of(passed(), [reflection(length)]) == pytest.approx(reward)

    @pytest.mark.parametrize("bonus", [-1.0, -0.5, 0.5, 1.0])
    def test_length_alone_is_never_paid(self, bonus: float) -> None:
        assert Rewards(bonus, 64).of(failed("x"), [reflection(64)]) == 0.0

    def test_a_failing_retry_keeps_its_score_and_gets_no_bonus(self) -> None:
        assert Rewards(1.0, 64).of(Verdict("failed", "x", "", 0.25), [reflection(64)]) == 0.25

    def test_the_bonus_is_a_share_of_the_score(self) -> None:
        assert Rewards(-0.5, 64).of(Verdict("passed", score=0.5), [reflection(32)]) == 0.375

    def test_a_passing_retry_is_never_paid_less_than_nothing(self) -> None:
        assert Rewards(-1.0, 64).of(Verdict("passed", score=0.1), [reflection(64)]) == 0.0

    def test_several_reflections_count_by_their_mean_length(self) -> None:
        assert Rewards(0.5, 64).of(passed(), [reflection(16), reflection(48)]) == 1.25

    def test_an_answer_without_a_reflection_gets_no_bonus(self) -> None:
        assert Rewards(1.0, 64).of(passed()) == 1.0

    def test_a_withheld_verdict_has_no_reward(self) -> None:
        assert Rewards(1.0, 64).of(abstained("timeout", "slow"), [reflection(64)]) is None

    def test_a_score_survives_its_file(self) -> None:
        verdict = Verdict("failed", "x", "", 0.25)
        assert Verdict.from_json(json.loads(json.dumps(verdict.to_json())), "here") == verdict
        assert "score" not in failed("x").to_json()

    @pytest.mark.parametrize("score", [1.5, -0.5, True, "1", float("nan")])
    def test_a_score_in_a_file_that_is_no_number_from_0_to_1_is_refused(self, score: Any) -> None:
        with pytest.raises(DataError, match="here: a verdict's 'score' must be a number from 0 to 1"):
            Verdict.from_json({"outcome": "passed", "score": score}, "here")

    def test_a_withheld_verdict_with_a_score_is_refused(self) -> None:
        with pytest.raises(DataError, match="'score' must be left out"):
            Verdict.from_json({"outcome": "abstained", "category": "timeout", "score": 1}, "here")


class TestRounds:
    """Each round is paid by its own retry and its own reflection."""

    def episode(self, *rounds: tuple[int, Verdict]) -> Episode:
        ask = Segment("prompt", ({"role": "user", "content": "?"},), ids=(1,))
        episode = Episode(0, {}, (ask, Segment("attempt", text="x", verdict=failed("x"))))
        for length, verdict in rounds:
            made = Segment("reflection", text="hm", ids=(2,) * length)
            retry = Segment("retry", text="x", ids=(3,), verdict=verdict)
            episode = episode.extended(ask, made, replace(ask, ids=(4,)), retry)
        segments = (replace(episode.segments[0], ids=()), *episode.segments[1:])
        return CREDITS["reflection"].marked(replace(episode, segments=segments))

    def test_a_rounds_bonus_is_that_of_its_own_reflection(self) -> None:
        episode = self.episode((16, failed("x")), (32, passed()))
        assert rewards_by_round(episode, Rewards(0.5, 64)) == [0.0, 1.25]

    def test_the_episodes_bonus_is_that_of_their_mean(self) -> None:
        episode = self.episode((16, failed("x")), (48, passed()))
        assert reward_of(episode, Rewards(0.5, 64)) == 1.25

    @pytest.mark.parametrize("discount", [0.0, 0.5, 1.0])
    def test_being_partly_right_first_never_pays_more_than_being_right(self, discount: float) -> None:
        partly = rewards_by_round(self.episode((8, Verdict("failed", "x", "", 0.9)), (8, passed())))
        assert partly == [0.9, 1.0]
        assert max(number or 0.0 for number in returns_of(partly, discount)) <= 1.0

    def test_a_group_whose_members_differ_in_length_alone_has_signal(self) -> None:
        group = [self.episode((length, passed())) for length in (8, 16)]
        for rounds in (1, 2):
            settings = TrainSettings(rounds=rounds, group_size=2, max_reflection_tokens=64)
            assert not has_signal(group, settings)
            assert has_signal(group, replace(settings, length_bonus=0.5))


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def train_with(failures: Any, model_settings: Any, folder: Path, settings: TrainSettings, **changes: Any) -> None:
    task = CoinTask(gives_rewards=changes.get("reward") == "task")
    train(task, failures, model_settings, folder, dataclasses.replace(settings, **changes))


def test_the_tasks_numbers_are_the_rewards_and_decide_the_advantages(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train_with(failures, model_settings, tmp_path / "t", settings, reward="task")
    seen = set()
    for episodes, rewards, advantages in steps:
        assert rewards == [episode.last_verdict.reward for episode in episodes]
        seen |= {reward for reward in rewards if reward not in (0.0, 1.0)}
        for start in range(0, len(rewards), settings.group_size):
            group = slice(start, start + settings.group_size)
            mean = sum(rewards[group]) / settings.group_size
            assert [round(a, 4) > 0 for a in advantages[group]] == [r - mean > 1e-6 for r in rewards[group]]
    assert 0.25 in seen
    record = metrics(tmp_path / "t")[0]
    assert record["retry_reward"] == pytest.approx(sum(steps[0][1]) / len(steps[0][1]))
    kept = [json.loads(line) for line in (tmp_path / "t" / "episodes.jsonl").read_text().splitlines()]
    scores = [segment["verdict"].get("score") for each in kept for segment in each["segments"] if "verdict" in segment]
    assert 0.25 in scores


def test_the_placebo_shuffles_numbers_as_it_shuffles_verdicts(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train_with(failures, model_settings, tmp_path / "t", settings, reward="task", credit="placebo", length_bonus=0.5)
    moved = 0
    for episodes, rewards, _ in steps:
        true = [reward_of(episode, Rewards(0.5, settings.max_reflection_tokens)) for episode in episodes]
        assert sorted(rewards) == sorted(true)
        moved += rewards != true
    assert moved > 0


@pytest.mark.parametrize("bonus", [-0.5, 0.5])
def test_a_length_bonus_pays_passing_retries_by_their_reflections_tokens(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path, bonus: float
) -> None:
    train_with(failures, model_settings, tmp_path / "t", settings, length_bonus=bonus)
    paid = 0.0
    for episodes, rewards, _ in steps:
        for episode, reward in zip(episodes, rewards, strict=True):
            share = len(episode.rounds[0].reflection.ids) / settings.max_reflection_tokens
            assert reward == pytest.approx(episode.last_verdict.is_passed * (1 + bonus * share))
    episodes, rewards, _ = steps[0]
    paid = sum(rewards) - sum(episode.last_verdict.is_passed for episode in episodes)
    assert metrics(tmp_path / "t")[0]["length_bonus"] == pytest.approx(paid / len(rewards))


def test_resampling_keeps_a_group_that_has_variance_by_the_bonus_alone(
    steps: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    class Heads(CoinTask):
        def verify(self, row: Any, answer: str) -> Verdict:
            return passed()

    changed = dataclasses.replace(settings, length_bonus=0.5, zero_variance="resample")
    train(Heads(), failures, model_settings, tmp_path / "t", changed)
    groups = [
        {reward for reward in rewards[start : start + 4] if reward}
        for _, rewards, _ in steps
        for start in range(0, len(rewards), 4)
    ]
    assert sum(len(group) > 1 for group in groups) > len(groups) / 2


def test_a_run_without_rewards_logs_nothing_of_them(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train_with(failures, model_settings, tmp_path / "t", settings)
    assert not {"retry_reward", "length_bonus"} & set(metrics(tmp_path / "t")[0])


def test_a_length_bonus_with_a_credit_that_trains_no_reflection_is_refused(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    with pytest.raises(RrrError, match="--length-bonus rewards the length of reflections, and --credit retry trains"):
        train_with(failures, model_settings, tmp_path / "t", settings, length_bonus=0.5, credit="retry")


@pytest.mark.parametrize("bonus", [1.5, -1.1, float("nan")])
def test_a_length_bonus_out_of_range_is_refused(bonus: float) -> None:
    with pytest.raises(RrrError, match="length_bonus"):
        TrainSettings(length_bonus=bonus)


def test_rewards_of_a_task_without_any_are_refused_before_a_model_is_loaded(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    with pytest.raises(RrrError, match="--reward task: the task 'coin' gives no rewards .rrr-coin 1.0 does not"):
        train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, reward="task"))
    assert not (tmp_path / "t").exists()


def test_rewards_that_an_overlay_hides_are_refused() -> None:
    task: Any = CoinTask()
    task.implements, task.overlays = lambda hook: True, ("model-judge",)
    with pytest.raises(RrrError, match=r"an overlay \(model-judge\) decides the verdicts of 'coin'"):
        check_task_rewards("task", task, print)


def test_rewards_that_are_not_used_are_mentioned_once() -> None:
    said: list[str] = []
    check_task_rewards("verdict", CoinTask(gives_rewards=True), said.append)  # type: ignore[arg-type]
    assert said == ["The task 'coin' gives rewards from 0 to 1 (rrr_reward), and --reward verdict does not use them."]
    progress = KeptProgress()
    check_task_rewards("verdict", CoinTask(), progress.say)  # type: ignore[arg-type]
    check_task_rewards("task", CoinTask(gives_rewards=True), progress.say)  # type: ignore[arg-type]
    assert progress.lines == []
