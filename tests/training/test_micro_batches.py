"""Micro-batches: groups stay together, zero-variance groups are dropped, and no number changes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from rrr_core.progress import Progress
from rrr_core.training import run as training_run
from rrr_core.training.micro_batches import dealt_order, has_variance, split_micro_batches
from rrr_core.training.run import train
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.verdicts import Verdict, failed, passed
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


def batch_of(rows: int) -> dict[str, Any]:
    return {
        "prompt_ids": torch.arange(rows)[:, None].expand(rows, 4),
        "prompt_mask": torch.ones(rows, 4, dtype=torch.long),
        "completion_ids": torch.arange(rows)[:, None].expand(rows, 3),
        "completion_mask": torch.ones(rows, 3, dtype=torch.long),
        "advantages": torch.arange(rows, dtype=torch.float),
        "num_items_in_batch": torch.tensor(7),
    }


def rows_of(micro_batch: dict[str, Any]) -> list[int]:
    """The rows that are computed."""
    kept = micro_batch["completion_mask"].any(1)
    return micro_batch["prompt_ids"][kept][:, 0].tolist()


@given(
    group_size=st.integers(1, 5), groups_each=st.integers(1, 4), count=st.integers(1, 4), seed=st.integers(0, 99),
    kept=st.lists(st.booleans(), min_size=16, max_size=16),
)  # fmt: skip
def test_every_kept_row_is_in_one_micro_batch_whose_groups_are_whole(
    group_size: int, groups_each: int, count: int, seed: int, kept: list[bool]
) -> None:
    groups = groups_each * count
    computed = [kept[group] for group in range(groups) for _ in range(group_size)]
    size = group_size * groups_each
    order = dealt_order(computed, group_size, seed)
    micro_batches = split_micro_batches(batch_of(groups * group_size), computed, count=count, order=order)
    assert len(micro_batches) == count
    seen = [row for micro_batch in micro_batches for row in rows_of(micro_batch)]
    assert sorted(seen) == [row for row, is_kept in enumerate(computed) if is_kept]
    for micro_batch in micro_batches:
        rows = rows_of(micro_batch)
        assert len(micro_batch["advantages"]) == size
        for start in range(0, len(rows), group_size):
            first = rows[start]
            assert first % group_size == 0
            assert rows[start : start + group_size] == list(range(first, first + group_size))


def test_micro_batches_are_filled_one_after_another() -> None:
    computed = [False] * 4 + [True] * 4 + [False] * 4 + [True] * 4
    order = dealt_order(computed, group_size=4, seed=0)
    micro_batches = split_micro_batches(batch_of(16), computed, count=4, order=order)
    assert [len(rows_of(micro_batch)) for micro_batch in micro_batches] == [4, 4, 0, 0]
    assert micro_batches[0]["num_items_in_batch"] == 7


def test_the_seed_draws_the_order_of_groups() -> None:
    assert len({tuple(dealt_order([True] * 16, 2, seed)) for seed in range(8)}) > 1


@pytest.mark.parametrize(
    ("rewards", "expected"),
    [
        ([1, 0, 1, 1], [True, True, False, False]),
        ([1, None, None, None], [False] * 4),
        ([None, 0, 0, 1], [False, False, True, True]),
    ],
)
def test_a_group_has_variance_where_its_judged_rewards_differ(rewards: Any, expected: Any) -> None:
    assert has_variance(rewards, 2) == expected


class Counting(ReflectionTrainer):
    """Counts the rows of each forward pass of a step, by whether it has a gradient."""

    passes: list[tuple[bool, int]] = []

    def train(self, *arguments: Any, **keywords: Any) -> Any:
        Counting.passes = []  # without those of the trial before training
        return super().train(*arguments, **keywords)

    def _packed_pass(self, model: Any, packing: Any) -> Any:
        Counting.passes.append((torch.is_grad_enabled(), len(packing.written)))
        return super()._packed_pass(model, packing)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    Counting.passes = []
    monkeypatch.setattr(training_run, "ReflectionTrainer", Counting)
    return Counting


def trained(folder: Path, failures: Any, model_settings: Any, settings: Any, task: Any = None) -> Any:
    train(task or CoinTask(), failures, model_settings, folder, settings, Progress())
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return load_file(folder / "model" / "model.safetensors"), metrics


class RareCoinTask(CoinTask):
    """Passes one answer in five, so that many groups of four fail as a whole."""

    def verify(self, row: Any, answer: str) -> Verdict:
        return failed("edge") if hashlib.sha256(answer.encode()).digest()[0] % 5 else passed()


@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo", "cispo", "sapo", "luspo"])
def test_dropping_zero_variance_groups_changes_no_weight_where_nothing_else_moves_it(
    loss: str, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    one = dataclasses.replace(
        settings, steps=1, kl=0.0, scheduler="constant", warmup_ratio=0.0, learning_rate=1.0, save_every=1,
        batch_size=32, grpo={"optim": "sgd", "max_grad_norm": "1e9", "loss_type": loss},
    )  # fmt: skip
    left_out = trained(tmp_path / "left out", failures, model_settings, one, RareCoinTask())
    kept = trained(
        tmp_path / "kept", failures, model_settings, dataclasses.replace(one, zero_variance="keep"), RareCoinTask()
    )
    assert 0 < left_out[1][0]["groups_without_spread"] < 1
    for name, weight in left_out[0].items():
        torch.testing.assert_close(weight, kept[0][name], rtol=1e-4, atol=1e-6)


def test_a_zero_variance_group_enters_no_forward_pass(
    counting: type[Counting], failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    one = dataclasses.replace(settings, steps=2, batch_size=32, save_every=1)
    _, metrics = trained(tmp_path / "t", failures, model_settings, one, RareCoinTask())
    without = [round(line["groups_without_spread"] * 8) for line in metrics]
    assert sum(without) > 0
    wanted = sum(32 - 4 * groups for groups in without)
    # A pass with nothing left computes one row of one token: all processes must call their model equally often.
    referred = wanted + without.count(8)
    assert sum(rows for has_gradient, rows in counting.passes if not has_gradient) == referred
    fillers = 2 * 4 - sum(-(-(32 - 4 * groups) // 8) for groups in without)
    assert sum(rows for has_gradient, rows in counting.passes if has_gradient) == wanted + fillers


def test_a_step_of_zero_variance_groups_moves_nothing(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    class Hopeless(CoinTask):
        def verify(self, row: Any, answer: str) -> Verdict:
            return failed("tails")

    one = dataclasses.replace(settings, steps=2, kl=0.1, learning_rate=1.0, grpo={"optim": "sgd"})
    weights, metrics = trained(tmp_path / "t", failures, model_settings, one, Hopeless())
    assert [line["groups_without_spread"] for line in metrics] == [1.0, 1.0]
    before = load_file(Path(str(model_settings.model)) / "model.safetensors")
    for name, weight in weights.items():
        torch.testing.assert_close(weight, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("grpo", [{"loss_type": "bnpo"}, {"entropy_coef": "0.1"}, {"top_entropy_quantile": "0.5"}])
def test_nothing_is_dropped_where_the_loss_of_the_rest_would_change(
    grpo: dict[str, str], counting: type[Counting], failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    one = dataclasses.replace(settings, steps=1, kl=0.0, save_every=1, batch_size=32, grpo=grpo)
    trained(tmp_path / "t", failures, model_settings, one, RareCoinTask())
    assert sum(rows for has_gradient, rows in counting.passes if has_gradient) == 32
