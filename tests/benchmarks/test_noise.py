"""The noise benchmark applies the noise that it names."""

from argparse import Namespace

import pytest

pytest.importorskip("trl", reason="needs rrr-core[train]")
pytestmark = pytest.mark.train

from rrr_core.tasks import load_task

ROW = {"a": 2, "b": 3}


@pytest.mark.parametrize(
    ("direction", "right", "wrong"),
    [("both", "failed", "passed"), ("false_pass", "passed", "passed"), ("false_fail", "failed", "failed")],
)
def test_a_direction_flips_the_verdicts_that_it_names(site, direction, right, wrong):
    from noise import overlay_of

    site.install_task("sums")
    task = load_task("sums", [overlay_of(Namespace(direction=direction), 1.0, seed=0)])
    assert (task.verify(ROW, "5").outcome, task.verify(ROW, "6").outcome) == (right, wrong)


def test_over_seeds_the_interval_is_that_of_their_mean_and_for_one_seed_its_own():
    from noise import in_per_cent

    one = {"value": 0.5, "low": 0.25, "high": 0.75, "total": 8}
    assert in_per_cent([one]) == {"value": 50, "low": 25, "high": 75}
    two = in_per_cent([one, {**one, "value": 0.7}])
    assert two["value"] == pytest.approx(60)
    assert two["low"] < 50 < 70 < two["high"]
