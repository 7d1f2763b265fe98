"""Steps that rounding swallows: how many are foretold, what is said, and what is trained then."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file

from rrr_core.training import rounding
from rrr_core.training.rounding import SAMPLE, immovable, lost_steps
from rrr_core.training.run import train
from tests.fakes import KeptProgress
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train

RATE = 5e-7
"""The paper's, at which nothing but the smallest weights moves in bfloat16."""


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("step", [1e-3, 3e-5, 5e-7])
def test_the_weights_that_cannot_move_are_those_that_stay(dtype: Any, step: float) -> None:
    torch.manual_seed(0)
    weight = (0.05 * torch.randn(3 * SAMPLE + 1)).to(dtype)
    moved = torch.stack([weight.clone().add_(torch.full_like(weight, each)) != weight for each in (step, -step)])
    assert immovable([weight], step) == pytest.approx(float((~moved.any(0)).float().mean()), abs=0.01)


def test_a_sample_counts_for_its_whole_tensor() -> None:
    still, moving = torch.ones(5, dtype=torch.bfloat16), torch.zeros(20 * SAMPLE, dtype=torch.bfloat16)
    assert immovable([still, moving], 1e-6) == pytest.approx(5 / (5 + 20 * SAMPLE))
    assert immovable([], 1e-6) == immovable([torch.zeros(0)], 1e-6) == 0


def test_training_says_that_its_steps_are_lost_and_they_are(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    progress, half = KeptProgress(), dataclasses.replace(model_settings, dtype="bfloat16")
    settings = dataclasses.replace(settings, learning_rate=RATE)
    train(CoinTask(), failures, half, tmp_path / "half", settings, progress)
    said = [line for line in progress.lines if "cannot move" in line]
    assert len(said) == 1
    assert said[0].startswith("9")
    assert "in bfloat16 a step of the learning rate, 5e-07, is lost in rounding. Leave out --dtype" in said[0]
    before = load_file(Path(model_settings.model) / "model.safetensors")
    after = load_file(tmp_path / "half" / "model" / "model.safetensors")
    same = sum(int((before[name].bfloat16() == after[name]).sum()) for name in after)
    assert same / sum(weight.numel() for weight in after.values()) > 0.9


def test_weights_in_float32_say_nothing_and_move(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    progress, settings = KeptProgress(), dataclasses.replace(settings, learning_rate=RATE)
    train(CoinTask(), failures, model_settings, tmp_path / "whole", settings, progress)
    assert not any("cannot move" in line for line in progress.lines)
    before = load_file(Path(model_settings.model) / "model.safetensors")
    after = load_file(tmp_path / "whole" / "model" / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    assert float((before[name] != after[name]).float().mean()) > 0.5


def test_adapters_are_in_float32_whatever_the_model_is_in(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    progress, half = KeptProgress(), dataclasses.replace(model_settings, dtype="bfloat16")
    settings = dataclasses.replace(settings, learning_rate=RATE, lora_rank=2)
    train(CoinTask(), failures, half, tmp_path / "lora", settings, progress)
    assert not any("cannot move" in line for line in progress.lines)
    saved = list((tmp_path / "lora").glob("checkpoint-*/adapter_model.safetensors"))
    assert saved
    assert {weight.dtype for path in saved for weight in load_file(path).values()} == {torch.float32}


@pytest.mark.parametrize(
    "changes", [{"lora_rank": 2}, {"grpo": {"optim": "adafactor"}}, {"sharding": "zero2"}, {"learning_rate": 1.0}]
)
def test_where_steps_are_not_lost_nothing_is_said(changes: Any, settings: Any) -> None:
    network, settings = torch.nn.Linear(64, 64).bfloat16(), dataclasses.replace(settings, learning_rate=RATE)
    assert lost_steps(network, settings) is not None
    assert lost_steps(network, dataclasses.replace(settings, **changes)) is None
    assert lost_steps(network.float(), settings) is None


def test_a_launcher_with_deepspeed_keeps_weights_in_float32(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding, "launched_with", lambda _: "zero3")
    assert lost_steps(torch.nn.Linear(64, 64).bfloat16(), dataclasses.replace(settings, learning_rate=RATE)) is None
