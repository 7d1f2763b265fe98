"""What `benchmarks/three_seeds.py` trains when nobody chooses credits."""

from __future__ import annotations

import pytest

pytest.importorskip("trl", reason="needs rrr-core[train]")
pytestmark = pytest.mark.train

from rrr_core.tasks.presets import presets_of
from rrr_core.tasks.settings import TaskSettings
from rrr_core.training.settings import TrainSettings


def test_each_credit_that_it_trains_by_default_fits_the_demos_settings():
    from three_seeds import REFLECTING

    demo = presets_of(TaskSettings(name="countdown"), "demo")["train"]
    assert {"reflection", "placebo", "retry", "all"} == set(REFLECTING)
    for credit in REFLECTING:
        assert TrainSettings(**{**demo, "credit": credit}).credit == credit
