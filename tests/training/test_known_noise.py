"""Correcting rewards for known errors of the verifier changes no group-normalised advantage: no option does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.evaluation.known_noise import KnownNoise
from rrr_core.training.run import train
from rrr_core.training.trainer import ReflectionTrainer
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train

NOISE = KnownNoise(false_pass=0.2, false_fail=0.1)


def corrected(reward: float | None) -> float | None:
    """The unbiased estimate of a clean reward (arXiv 2510.00915, the backward correction)."""
    return None if reward is None else (reward - NOISE.false_pass) / NOISE.scale


def correct(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on training takes corrected rewards."""
    plain = ReflectionTrainer.play_batch

    def play_batch(trainer: ReflectionTrainer, prompts: Sequence[Any], _: Any) -> dict[str, Any]:
        played = plain(trainer, prompts, trainer)
        trainer._rewards = [corrected(reward) for reward in trainer._rewards]
        return played

    monkeypatch.setattr(ReflectionTrainer, "play_batch", play_batch)


@pytest.mark.parametrize("scaling", ["group", "batch", "none"])
def test_the_advantages_are_the_same_with_and_without_the_correction(
    steps: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    failures: Any,
    model_settings: Any,
    settings: Any,
    tmp_path: Path,
    scaling: str,
) -> None:
    once = dataclasses.replace(settings, steps=1, grpo={"scale_rewards": scaling})
    train(CoinTask(abstain_every=5), failures, model_settings, tmp_path / "raw", once)
    correct(monkeypatch)
    train(CoinTask(abstain_every=5), failures, model_settings, tmp_path / "corrected", once)
    (_, raw, plain), (_, changed, after) = steps
    assert changed == pytest.approx([corrected(reward) for reward in raw])
    assert any(advantage > 0 for advantage in plain)
    # Unscaled, the correction only multiplies all of them by the same number, as a learning rate would.
    factor = 1 / NOISE.scale if scaling == "none" else 1.0
    # TRL adds 1e-4 to the standard deviation.
    assert after == pytest.approx([factor * advantage for advantage in plain], rel=1e-3)
