"""Correcting rewards for known errors of the verifier changes no group-normalised advantage: no option does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.evaluation.known_noise import KnownNoise
from rrr_core.training import run as training_run
from rrr_core.training.run import train
from rrr_core.training.trainer import ReflectionTrainer
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train

NOISE = KnownNoise(false_pass=0.2, false_fail=0.1)
Step = tuple[list[float | None], list[float]]


def corrected(reward: float | None) -> float | None:
    """The unbiased estimate of a clean reward (arXiv 2510.00915, the backward correction)."""
    return None if reward is None else (reward - NOISE.false_pass) / NOISE.scale


def step_of(monkeypatch: pytest.MonkeyPatch, corrects: bool, *arguments: Any) -> Step:
    """(Rewards, advantages) of one training step."""
    kept: list[Step] = []

    class Kept(ReflectionTrainer):
        def __init__(self, *, on_episodes: Any, **more: Any) -> None:
            def both(step: int, episodes: Any, rewards: Any, advantages: Any) -> None:
                kept.append((list(rewards), list(advantages)))
                on_episodes(step, episodes, rewards, advantages)

            super().__init__(on_episodes=both, **more)

        def play_batch(self, prompts: Sequence[Any], trainer: Any) -> dict[str, Any]:
            played = super().play_batch(prompts, trainer)
            if corrects:
                self._rewards = [corrected(reward) for reward in self._rewards]
            return played

    monkeypatch.setattr(training_run, "ReflectionTrainer", Kept)
    train(*arguments)
    (step,) = kept
    return step


@pytest.mark.parametrize("scaling", ["group", "batch", "none"])
def test_the_advantages_are_the_same_with_and_without_the_correction(
    monkeypatch: pytest.MonkeyPatch, failures: Any, model_settings: Any, settings: Any, tmp_path: Path, scaling: str
) -> None:
    once = dataclasses.replace(settings, steps=1, grpo={"scale_rewards": scaling})
    steps = [
        step_of(monkeypatch, corrects, CoinTask(abstain_every=5), failures, model_settings, tmp_path / name, once)
        for name, corrects in (("raw", False), ("corrected", True))
    ]
    (raw, plain), (changed, after) = steps
    assert changed == pytest.approx([corrected(reward) for reward in raw])
    assert any(advantage > 0 for advantage in plain)
    # Unscaled, the correction only multiplies all of them by the same number, as a learning rate would.
    factor = 1 / NOISE.scale if scaling == "none" else 1.0
    # TRL adds 1e-4 to the standard deviation.
    assert after == pytest.approx([factor * advantage for advantage in plain], rel=1e-3)
