"""Training on several tasks: each failure belongs to its task, and each task gets its share of the groups."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrr_core.errors import DataError, RrrError, TooManyAbstentions
from rrr_core.mining.failure_set import failures_of_several
from rrr_core.training.checkpoints import Seal
from rrr_core.training.run import train
from rrr_core.training.sampler import DealtOrder, FailureOrder, order_of
from rrr_core.training.settings import TrainSettings
from rrr_core.training.shares import dealt, shares_of
from tests.training.conftest import CoinTask, StepCoin, coin_failures, coin_job, course_failures

pytestmark = pytest.mark.train
TWO = {"weights": "dice=2"}


class Renamed(CoinTask):
    def __init__(self, name: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.name = name  # type: ignore[misc]

    def prompt(self, row: Any, model: Any) -> Any:
        raise AssertionError("a mined prompt is not asked for again")

    def reflection_prompt(self, row: Any, attempt: str, model: Any) -> str:
        return f"Reflect on {self.name}."


def order(settings: TrainSettings, failures: Any = None) -> FailureOrder:
    return order_of(failures or coin_job(TWO)[1], settings, groups=4, repeats=1, accumulation=1)


class TestShares:
    def test_are_equal_by_default(self) -> None:
        assert shares_of("", ["b", "a"]) == {"a": Fraction(1, 2), "b": Fraction(1, 2)}

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("coin", "expected TASK=NUMBER"),
            ("coin=0", "each number above 0"),
            ("coin=-1", "each number above 0"),
            ("coin=much", "expected TASK=NUMBER"),
            ("coin=1,coin=2", "'coin' is given twice"),
        ],
    )
    def test_that_are_no_weights_are_refused(self, text: str, problem: str) -> None:
        with pytest.raises(RrrError, match=problem):
            TrainSettings(weights=text)

    def test_of_a_task_that_is_not_trained_are_refused(self) -> None:
        with pytest.raises(RrrError, match="no task 'cion' is trained here. Did you mean 'coin'"):
            shares_of("cion=2", ["coin", "dice"])

    def test_of_a_single_task_are_refused(self) -> None:
        with pytest.raises(RrrError, match="--weights acts only where several tasks"):
            shares_of("coin=2", [None])

    @given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(1, 200))
    def test_are_kept_to_within_a_group_for_each_task_after_any_number_of_groups(
        self, weights: list[int], groups: int
    ) -> None:
        shares = tuple(Fraction(weight, sum(weights)) for weight in weights)
        given = Counter(task for task, _ in dealt(shares, groups))
        assert all(abs(given[task] - share * groups) <= len(shares) - 1 for task, share in enumerate(shares))
        assert given.total() == groups


class TestOrder:
    def test_a_batch_holds_each_tasks_share(self) -> None:
        failures = coin_job(TWO)[1]
        mixed = order(TrainSettings(steps=9))
        assert isinstance(mixed, DealtOrder)
        for number in range(9):
            held = Counter(failures[index].episode.task for index in mixed.batch(number))
            assert held == {"coin": 2, "dice": 2}

    def test_shares_that_do_not_divide_a_batch_even_out_over_batches(self) -> None:
        failures = coin_job(TWO)[1]
        mixed = order(TrainSettings(steps=9, **TWO))
        held = [Counter(failures[index].episode.task for index in mixed.batch(number))["dice"] for number in range(3)]
        assert sorted(held) == [2, 3, 3]

    def test_each_task_goes_through_all_its_failures_before_it_repeats_one(self) -> None:
        failures = coin_job(TWO)[1]
        mixed = order(TrainSettings(steps=20))
        drawn = [failures[index] for number in range(10) for index in mixed.batch(number)]
        for task, count in (("coin", 12), ("dice", 5)):
            own = [failure.failure_id for failure in drawn if failure.episode.task == task]
            assert len(set(own[:count])) == count

    def test_the_order_in_which_tasks_are_named_makes_no_difference(self) -> None:
        one, other = coin_failures(), coin_failures()[:5]
        assert failures_of_several({"a": one, "b": other}) == failures_of_several({"b": other, "a": one})

    def test_a_task_without_failures_is_named(self) -> None:
        with pytest.raises(DataError, match="the failure set of dice is empty"):
            failures_of_several({"coin": coin_failures(), "dice": []})

    def test_what_replaces_a_group_is_not_of_its_batch_twice(self) -> None:
        beyond = order(TrainSettings(steps=9)).beyond(0)
        assert len(beyond) == len(set(beyond))

    def test_one_task_has_the_order_it_always_had(self) -> None:
        assert type(order(TrainSettings(), coin_failures())) is FailureOrder


class TestCurriculum:
    def rates(self, curriculum: str, task: str) -> list[float]:
        failures = coin_job(TWO)[1]
        mixed = order(TrainSettings(steps=6, curriculum=curriculum))
        drawn = [failures[index] for number in range(6) for index in mixed.batch(number)]
        return [failure.pass_rate or 0.0 for failure in drawn if failure.episode.task == task]

    @pytest.mark.parametrize("task", ["coin", "dice"])
    def test_goes_from_the_rows_passed_most_often_to_those_passed_least_or_back(self, task: str) -> None:
        easy, hard = self.rates("easy-first", task), self.rates("hard-first", task)
        assert all(a >= b for a, b in pairwise(easy))
        assert all(a <= b for a, b in pairwise(hard))
        assert easy[0] == hard[-1] > easy[-1] == hard[0]

    def test_trains_on_the_same_failures_as_without(self) -> None:
        for curriculum in ("easy-first", "hard-first"):
            assert sorted(self.rates(curriculum, "coin")) == sorted(self.rates("none", "coin"))

    def test_acts_on_a_single_task_too(self) -> None:
        rated = [dataclasses.replace(one, pass_rate=place / 12) for place, one in enumerate(coin_failures())]
        one = order(TrainSettings(steps=3, curriculum="hard-first"), rated)
        assert [index for number in range(3) for index in one.batch(number)] == list(range(12))

    def test_without_mined_pass_rates_is_refused(self) -> None:
        with pytest.raises(RrrError, match="--curriculum easy-first: the failures come without the pass rates"):
            order(TrainSettings(curriculum="easy-first"), coin_failures())


def trained(folder: Path, model_settings: Any, settings: TrainSettings, *tasks: Any) -> Path:
    _, failures = coin_job(TWO)
    train(list(tasks or (Renamed("coin"), Renamed("dice"))), failures, model_settings, folder, settings)
    return folder


@pytest.mark.parametrize("changes", [{}, {"rounds": 2}, {"on_policy_attempts": True, "max_attempt_tokens": 6}])
def test_each_failure_is_reflected_on_and_judged_by_its_own_task(
    changes: dict[str, Any], model_settings: Any, settings: TrainSettings, tmp_path: Path
) -> None:
    settings = dataclasses.replace(settings, **changes)
    folder = trained(tmp_path / "both", model_settings, settings, Renamed("coin"), Renamed("dice", abstain_every=1))
    episodes = [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]
    assert {episode["task"] for episode in episodes} == {"coin", "dice"}
    for episode in episodes:
        asked = [each["messages"][0]["content"] for each in episode["segments"] if each.get("messages")]
        assert f"Reflect on {episode['task']}." in asked
        verdicts = [each["verdict"]["outcome"] for each in episode["segments"] if each["role"] == "retry"]
        assert ("abstained" in verdicts) == (episode["task"] == "dice" and bool(verdicts))


def test_a_task_that_acts_and_one_that_answers_at_once_are_trained_together(
    model_settings: Any, settings: TrainSettings, tmp_path: Path
) -> None:
    acts = StepCoin()
    acts.name = "acts"  # type: ignore[misc]
    failures = failures_of_several({"acts": course_failures(), "coin": coin_failures()})
    settings = dataclasses.replace(settings, max_steps=3)
    train([acts, CoinTask()], failures, model_settings, tmp_path, settings)  # type: ignore[list-item]
    episodes = [json.loads(line) for line in (tmp_path / "episodes.jsonl").read_text().splitlines()]
    assert {episode["task"] for episode in episodes} == {"acts", "coin"}
    for episode in episodes:
        roles = {segment["role"] for segment in episode["segments"]}
        assert ("observation" in roles) == (episode["task"] == "acts")


def test_metrics_have_each_tasks_success_rate_and_share(
    model_settings: Any, settings: TrainSettings, tmp_path: Path
) -> None:
    folder = trained(tmp_path / "both", model_settings, dataclasses.replace(settings, weights="dice=3"))
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        metrics = json.loads(line)
        assert (metrics["groups/coin"], metrics["groups/dice"]) == (0.25, 0.75)
        own = [metrics[f"retry_success_rate/{task}"] for task in ("coin", "dice")]
        assert metrics["retry_success_rate"] == pytest.approx(0.25 * own[0] + 0.75 * own[1])


def test_a_checkpoint_keeps_each_tasks_withheld_verdicts_and_a_resumed_run_counts_them(
    model_settings: Any, settings: TrainSettings, tmp_path: Path
) -> None:
    tasks = Renamed("coin"), Renamed("dice", abstain_every=1)
    folder = trained(tmp_path / "both", model_settings, settings, *tasks)
    verdicts = Seal.read(folder / "checkpoint-4").verdicts
    assert not verdicts["coin"][1]
    assert len(verdicts["dice"][1]) == verdicts["dice"][0] > 0
    (folder / "summary.json").unlink()
    with pytest.raises(TooManyAbstentions, match="task 'dice'"):
        trained(folder, model_settings, dataclasses.replace(settings, max_abstain=0.5), *tasks)


def test_one_task_in_a_list_is_trained_as_one(model_settings: Any, settings: TrainSettings, tmp_path: Path) -> None:
    for name, tasks in (("alone", CoinTask()), ("listed", [CoinTask()])):
        train(tasks, coin_failures(), model_settings, tmp_path / name, settings)  # type: ignore[arg-type]
    for file in ("episodes.jsonl", "model/model.safetensors"):
        assert (tmp_path / "alone" / file).read_bytes() == (tmp_path / "listed" / file).read_bytes()
    manifest = json.loads((tmp_path / "alone" / "manifest.json").read_text())
    assert "tasks" not in manifest["identity"]
    assert not {"weights", "curriculum"} & set(manifest["identity"]["settings"])
