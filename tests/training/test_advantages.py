"""Advantages by round: returns, baselines over those that reached a round, and the placebo."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from rrr_core.episode import Episode, Segment
from rrr_core.errors import RrrError
from rrr_core.progress import Progress
from rrr_core.training import run as training_run
from rrr_core.training.advantages import (
    EPSILON,
    advantages_by_round,
    has_signal,
    in_groups_with_signal,
    returns_of,
    shuffled_by_round,
    weighed,
)
from rrr_core.training.credit import CREDITS
from rrr_core.training.grpo_fields import LOSSES
from rrr_core.training.run import train
from rrr_core.training.settings import TrainSettings
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.verdicts import Verdict, failed, passed
from tests.episodes import make_failure
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train

RETURNS = st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=1, max_size=3), min_size=4, max_size=16)


def played(*verdicts: Verdict, trains: str = "reflection") -> Episode:
    """An episode with a round for each verdict."""
    segments = [
        segment
        for number, verdict in enumerate(verdicts)
        for segment in (
            Segment("prompt", ids=(10 * number + 1,)),
            Segment("reflection", text="because", ids=(10 * number + 2,)),
            Segment("prompt", ids=(10 * number + 3,)),
            Segment("retry", text=str(number), ids=(10 * number + 4,), verdict=verdict),
        )
    ]
    return CREDITS[trains].marked(make_failure().episode.extended(*segments))


def test_a_return_is_the_rounds_own_reward_and_what_follows_discounted() -> None:
    assert returns_of([0.0, 0.0, 1.0], 1.0) == [1.0, 1.0, 1.0]
    assert returns_of([0.0, 0.0, 1.0], 0.0) == [0.0, 0.0, 1.0]


def test_what_discounting_leaves_of_a_tasks_number_is_paid_beside_the_next_return() -> None:
    assert returns_of([0.25, 0.5], 0.5) == [0.375, 0.5]
    assert returns_of([0.5, 1.0], 1.0) == [1.0, 1.0]
    assert returns_of([0.5, 1.0], 0.0) == [0.5, 1.0]


def test_a_withheld_verdict_is_no_reward_of_the_rounds_that_led_to_it() -> None:
    assert returns_of([0.0, 0.0, None], 0.5) == [None, None, None]
    assert returns_of([0.0, 0.0, None], 0.0) == [0.0, 0.0, None]


@given(returns=RETURNS, group_size=st.integers(2, 5), scale=st.sampled_from(["group", "batch", "none"]))
def test_a_rounds_baseline_is_the_mean_of_those_of_the_group_that_reached_it(
    returns: list[list[float | None]], group_size: int, scale: str
) -> None:
    advantages = advantages_by_round(returns, group_size, scale)
    assert [len(each) for each in advantages] == [len(each) for each in returns]
    for number in range(3):
        there = [place for place, each in enumerate(returns) if len(each) > number and each[number] is not None]
        batch = torch.tensor([returns[place][number] for place in there])
        for start in range(0, len(returns), group_size):
            group = [place for place in there if start <= place < start + group_size]
            known = torch.tensor([returns[place][number] for place in group])
            if len(group) < 2 or known.unique().numel() < 2:
                assert not any(advantages[place][number] for place in group)
                continue
            divisor = {"group": known.std() + EPSILON, "batch": batch.std() + EPSILON, "none": 1.0}[scale]
            expected = (known - known.mean()) / divisor
            found = torch.tensor([advantages[place][number] for place in group])
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for each, own in zip(returns, advantages, strict=True):
        assert all(advantage == 0.0 for value, advantage in zip(each, own, strict=True) if value is None)


def test_equal_returns_have_no_advantage_however_their_sum_is_rounded() -> None:
    assert advantages_by_round([[0.1], [0.1], [0.1]], 3, "group") == [[0.0], [0.0], [0.0]]


@given(returns=RETURNS, seed=st.integers(0, 9))
def test_the_placebo_shuffles_returns_within_each_round(returns: list[list[float | None]], seed: int) -> None:
    shuffled = shuffled_by_round(returns, (seed,))
    assert [len(each) for each in shuffled] == [len(each) for each in returns]
    for number in range(3):
        before, after = (Counter(each[number] for each in one if len(each) > number) for one in (returns, shuffled))
        assert before == after
    assert shuffled == shuffled_by_round(returns, (seed,))


def test_the_placebo_shuffles_each_round_on_its_own() -> None:
    returns = [[float(place), float(place)] for place in range(40)]
    assert sum(first != second for first, second in shuffled_by_round(returns, (0,))) > 30


def test_each_reflection_carries_the_advantage_of_its_own_round() -> None:
    settings = TrainSettings(rounds=2, round_discount=0.0, group_size=3)
    group = [played(passed()), played(failed("x"), passed()), played(failed("x"), failed("x"))]
    weights = weighed(group, settings, "none", (0,))
    found = [[segment.advantage for segment in one.segments if segment.role == "reflection"] for one in weights]
    assert found == [[pytest.approx(2 / 3)], [pytest.approx(-1 / 3), 0.5], [pytest.approx(-1 / 3), -0.5]]
    assert {segment.advantage for one in weights for segment in one.segments if segment.role == "retry"} == {None}


def test_a_group_has_signal_if_any_round_of_it_has() -> None:
    settings = TrainSettings(rounds=2, round_discount=0.0, group_size=2)
    later = [played(failed("x"), passed()), played(failed("x"), failed("x"))]
    alike = [played(failed("x"), passed()), played(failed("x"), passed())]
    assert [has_signal(group, settings) for group in (later, alike)] == [True, False]
    both = weighed([*later, *alike], settings, "group", (0,))
    assert in_groups_with_signal(both, 2) == [True, True, False, False]
    alone = [played(passed()), played(failed("x"), passed())]
    assert has_signal(alone, settings)
    assert not has_signal(alone, dataclasses.replace(settings, round_discount=1.0)), "both pass in the end"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"credit": "passing"}, "--credit passing acts only with several rounds"),
        ({"round_discount": 0.5}, "--round-discount acts only with several rounds .*: raise --rounds, or leave"),
        (
            {"round_discount": 0.5, "rounds": 2, "credit": "retry"},
            "--credit reflection or placebo: change --credit, or",
        ),
        ({"round_discount": 1.5, "rounds": 2}, "must be at most 1"),
        ({"rounds": 0}, "must be at least 1"),
    ],
)
def test_options_of_rounds_act_or_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RrrError, match=said):
        TrainSettings(**given)


def test_a_sum_of_rewards_that_is_normalised_over_the_batch_is_refused_where_rounds_have_their_own_advantages(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    given = {"multi_objective_aggregation": "normalize_then_sum"}
    with pytest.raises(
        RrrError, match="'multi_objective_aggregation' cannot be normalize_then_sum with several rounds"
    ):
        train(CoinTask(), failures, model_settings, tmp_path, dataclasses.replace(settings, rounds=2, grpo=given))


class Both(ReflectionTrainer):
    """Computes each loss a second time, with the rows' advantages given to each of their tokens."""

    apart: list[float] = []

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        loss = super()._compute_loss(model, inputs)
        width = inputs["completion_ids"].shape[1]
        by_token = {**inputs, "advantages": inputs["advantages"].unsqueeze(1).expand(-1, width).contiguous()}
        Both.apart.append(float((super()._compute_loss(model, by_token) - loss).detach().abs()))
        return loss


@pytest.mark.parametrize(
    "given",
    [
        *({"loss_type": loss} for loss in LOSSES),
        {"importance_sampling_level": "sequence", "loss_type": "luspo"},
        {"num_iterations": "2", "off_policy_mask_threshold": "0.0001", "importance_sampling_level": "sequence"},
        {"top_entropy_quantile": "0.5"},
    ],
    ids=lambda given: ",".join(f"{name}={value}" for name, value in given.items()),
)
def test_every_loss_of_trl_takes_an_advantage_for_each_token(
    given: dict[str, str],
    failures: Any,
    model_settings: Any,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Both.apart = []
    monkeypatch.setattr(training_run, "ReflectionTrainer", Both)
    two = dataclasses.replace(settings, steps=2, kl=0.0, grpo=given)
    train(CoinTask(), failures, model_settings, tmp_path / "t", two, Progress())
    assert len(Both.apart) == 4
    assert max(Both.apart) < 1e-6
