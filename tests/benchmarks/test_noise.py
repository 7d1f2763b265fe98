"""The noise benchmark applies the noise that it names."""

import json
from argparse import Namespace
from unittest.mock import patch

import pytest

pytest.importorskip("trl", reason="needs rrr-core[train]")
pytestmark = pytest.mark.train

from rrr_core.evaluation.controls import CONTROLS
from rrr_core.tasks import load_task

ROW = {"a": 2, "b": 3}


@pytest.mark.parametrize(
    ("direction", "right", "wrong"),
    [("both", "failed", "passed"), ("false_pass", "passed", "passed"), ("false_fail", "failed", "failed")],
)
def test_a_direction_flips_the_verdicts_that_it_names(site, direction, right, wrong):
    from noise import overlay_of

    site.install_task("sums")
    task = load_task("sums", [overlay_of(direction, 1.0, seed=0)])
    assert (task.verify(ROW, "5").outcome, task.verify(ROW, "6").outcome) == (right, wrong)


def test_both_directions_are_trained_apart_and_without_noise_once():
    from noise import label_of, made_of

    options = Namespace(direction=["false_pass", "false_fail"], probabilities=[0.0, 0.1])
    assert made_of(options) == {
        "noise-false_pass-0": ("false_pass", 0.0),
        "noise-false_pass-0.1": ("false_pass", 0.1),
        "noise-false_fail-0.1": ("false_fail", 0.1),
    }
    assert label_of(options, "false_fail", 0.0) == label_of(options, "false_pass", 0.0)


def test_the_table_shows_both_directions_apart(tmp_path):
    from noise import table

    options = Namespace(
        folder=tmp_path, seeds=[0], direction=["false_pass", "false_fail"], probabilities=[0.0, 0.2], task="sums"
    )
    share = {"value": 0.5, "low": 0.4, "high": 0.6}
    for place, label in enumerate(["noise-false_pass-0", "noise-false_pass-0.2", "noise-false_fail-0.2"]):
        second = {**share, "value": place / 10}
        mode = {"second_try": second, "gains": {control.gain: share for control in CONTROLS}}
        folder = tmp_path / "seed-0" / "eval" / label
        folder.mkdir(parents=True)
        (folder / "figures.json").write_text(
            json.dumps({"rows": 8, "modes": dict.fromkeys(("greedy", "sampled"), mode)})
        )
    with (
        patch("noise.flipped", lambda task, folder: share),
        patch("noise.gain", lambda folder, mode, label: share),
    ):
        lines = [line for line in table(options) if line["mode"] == "greedy"]
    assert [(line["noise"], line["second_try"]["value"]) for line in lines] == [
        ("false pass 0", 0),
        ("false pass 0.2", 10),
        ("false fail 0", 0),
        ("false fail 0.2", 20),
    ]


def test_over_seeds_the_interval_is_that_of_their_mean_and_for_one_seed_its_own():
    from noise import in_per_cent

    one = {"value": 0.5, "low": 0.25, "high": 0.75, "total": 8}
    assert in_per_cent([one]) == {"value": 50, "low": 25, "high": 75}
    two = in_per_cent([one, {**one, "value": 0.7}])
    assert two["value"] == pytest.approx(60)
    assert two["low"] < 50 < 70 < two["high"]
