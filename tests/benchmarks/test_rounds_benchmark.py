"""The rounds benchmark trains the arms that it names, and sums their figures up by round."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="needs rrr-core[train]")
pytestmark = pytest.mark.train

from rrr_core.evaluation.controls import CONTROL_KEYS
from rrr_core.training.options import grpo_config
from rrr_core.training.settings import TrainSettings


def test_every_arm_is_a_training_that_acts(tmp_path: Path) -> None:
    from rounds import ARMS, variants_of

    options = Namespace(task="countdown", arms=list(ARMS), rounds=3)
    made = {label: TrainSettings(**changes) for label, _, changes in variants_of(options)(0)}
    for settings in made.values():
        grpo_config(settings, tmp_path, "float32", None, 1)
    assert {label: settings.rounds for label, settings in made.items()} == {
        arm: 1 if arm == "one" else 3 for arm in ARMS
    }
    assert made["one"] == TrainSettings()
    assert made["own"] == TrainSettings(rounds=3, round_discount=0.0)


def evaluated(folder: Path, rights: list[float]) -> None:
    """An evaluation as far as the table reads it: these shares of rows are right after each round."""
    share: dict[str, Any] = {"value": 0.5, "low": 0.4, "high": 0.6}
    rounds = [
        {
            "round": number,
            "entered": share,
            "right_of_entered": share,
            "right": {**share, "value": right},
            "repeats": None,
            "gains": {key: {**share, "value": 0.25} for key in CONTROL_KEYS},
        }
        for number, right in enumerate(rights, 1)
    ]
    modes = {mode: {"rounds": rounds} for mode in ("greedy", "sampled")}
    folder.mkdir(parents=True)
    (folder / "figures.json").write_text(json.dumps({"rows": 10, "modes": modes}))


def test_a_gain_is_over_the_untrained_model_after_as_many_rounds(tmp_path: Path) -> None:
    from rounds import table

    for seed, raised in enumerate((0.1, 0.3)):
        evaluated(tmp_path / f"seed-{seed}" / "eval" / "vanilla", [0.3, 0.4])
        evaluated(tmp_path / f"seed-{seed}" / "eval" / "several", [0.3 + raised, 0.4 + raised / 2])
    lines = table(Namespace(folder=tmp_path, seeds=[0, 1], arms=["several"], rounds=2))
    gains = {line["model"]: line["gain"]["value"] for line in lines if line["mode"] == "sampled"}
    assert gains == pytest.approx(
        {"vanilla, round 1": 0, "vanilla, round 2": 0, "several, round 1": 20, "several, round 2": 10}
    )
    assert {line["over_no_reflection"]["value"] for line in lines} == {25.0}
    assert all(line["repeats"] is None for line in lines), "what no seed measured has no mean"
