"""In a planted world the figures recover the truth, and each control refutes the false gain it is meant for."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted_world import PlantedModel, run

from rrr_core.evaluation import ModeFigures
from rrr_core.evaluation.statistics import Difference, Proportion

BOTH = pytest.mark.parametrize("mode", ["greedy", "sampled"])


def evaluated(folder: Path, model: PlantedModel, mode: str) -> ModeFigures:
    return run(folder, model, rows=1500, modes=(mode,)).modes[mode]


def assert_near(found: Proportion | Difference, expected: float) -> None:
    """The truth lies in the interval at twice its width: four standard errors, missed once in some 10,000 worlds."""
    low, high = (2 * limit - found.value for limit in (found.low, found.high))
    assert low <= expected <= high


def is_nothing(gain: Difference | None) -> bool:
    """Whether there is no gain at a level of one in a thousand: at one in twenty, some of the tests fail by chance."""
    assert gain is not None
    return gain.p > 0.001 and abs(gain.value) < 0.05


@BOTH
def test_the_figures_recover_the_planted_probabilities(tmp_path: Path, mode: str) -> None:
    made = evaluated(tmp_path, PlantedModel(first=0.3, own=0.8, other=0.2, none=0.1), mode)
    truth = {
        "first_try": 0.3,
        "second_try": 0.3 + 0.7 * 0.8,
        "no_reflection": 0.3 + 0.7 * 0.1,
        "other_reflection": 0.3 + 0.7 * 0.2,
        "pass_at_2": 0.3 + 0.7 * 0.3,
        "second_try_of_failures": 0.8,
    }
    for name, expected in truth.items():
        share = made.shares[name]
        assert share is not None
        assert_near(share, expected)
        assert share.high - share.low < 0.06, name
    for gain, expected in {
        "reflection_vs_no_reflection": 0.7 * 0.7,
        "reflection_vs_other_reflection": 0.7 * 0.6,
        "reflection_vs_pass_at_2": 0.7 * 0.5,
    }.items():
        found = made.gains[gain]
        assert found is not None
        assert_near(found, expected)
        assert found.p < 1e-6
    assert made.transitions["wrong→right"] / 1500 == pytest.approx(0.7 * 0.8, abs=0.04)
    first = made.error_classes["first"]
    assert first["sum"] / sum(first.values()) == pytest.approx(2 / 3, abs=0.05)


@BOTH
def test_a_gain_from_a_second_chance_alone_is_refuted_by_every_control(tmp_path: Path, mode: str) -> None:
    made = evaluated(tmp_path, PlantedModel(first=0.4, own=0.4, other=0.4, none=0.4), mode)
    first, second = made.shares["first_try"], made.shares["second_try"]
    assert first is not None
    assert second is not None
    assert second.low > first.high
    assert all(is_nothing(gain) for gain in made.gains.values())


@BOTH
def test_a_gain_from_any_reflection_at_all_is_refuted_by_another_rows_reflection(tmp_path: Path, mode: str) -> None:
    made = evaluated(tmp_path, PlantedModel(first=0.3, own=0.7, other=0.7, none=0.3), mode)
    against_none = made.gains["reflection_vs_no_reflection"]
    assert against_none is not None
    assert against_none.low > 0
    assert is_nothing(made.gains["reflection_vs_other_reflection"])


@BOTH
def test_a_gain_that_a_second_sample_also_gives_is_refuted_by_pass_at_2(tmp_path: Path, mode: str) -> None:
    made = evaluated(tmp_path, PlantedModel(first=0.5, own=0.5, other=0.1, none=0.1), mode)
    against_none = made.gains["reflection_vs_no_reflection"]
    assert against_none is not None
    assert against_none.low > 0
    assert is_nothing(made.gains["reflection_vs_pass_at_2"])


def test_identical_reflections_show_no_gain_over_another_rows(tmp_path: Path) -> None:
    model = PlantedModel(write_reflection=lambda prompt: "Try harder.")
    made = evaluated(tmp_path, model, "greedy")
    gain = made.gains["reflection_vs_other_reflection"]
    assert gain is not None
    assert (gain.only_first, gain.only_second) == (0, 0)
    assert made.reflections["distinct"] == 1
