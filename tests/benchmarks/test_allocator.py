"""The allocator benchmark compares both sides' processor time, page faults and memory."""

from __future__ import annotations

import argparse

import pytest

pytest.importorskip("torch", reason="what is measured is a network's memory")
pytestmark = pytest.mark.train


def run(time: float, faults: int) -> dict[str, float]:
    return {
        "processor time": time,
        "system's part": 0.0,
        "wall clock": 2 * time,
        "page faults": faults,
        "largest resident set": 100.0,
    }


def test_ratios_are_of_pairs_that_ran_side_by_side() -> None:
    from allocator import figures_of

    figures = figures_of("texts", {"without": [run(10, 400), run(20, 600)], "with": [run(9, 100), run(16, 60)]})
    found = {figure.label: figure for figure in figures}
    ratio = found["texts: processor time, with over without"]
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((0.85, 0.8, 0.9))
    assert found["texts: page faults, with"].value == 80
    assert "texts: system's part, with over without" not in found


def test_a_work_is_measured_in_processor_time() -> None:
    from allocator import measure

    measured = measure("texts", "without", argparse.Namespace(shape="tiny", prompt=20, tokens=4))
    assert set(measured) == set(run(1, 1))
    assert measured["processor time"] > 0
