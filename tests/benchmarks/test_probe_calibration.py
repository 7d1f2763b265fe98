"""The calibration of the probe: forecast meets outcome, pair by pair, and a page gets the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="needs rrr-core[train]")
pytestmark = pytest.mark.train

from rrr_core.progress import Progress
from rrr_core.runs.files import write_json
from rrr_core.tasks import find_tasks


def gained(value: float, around: float = 0.02) -> dict[str, float]:
    return {"value": value, "low": value - around, "high": value + around, "total": 1000}


def comparison(second: float, plain: float) -> dict[str, Any]:
    figures = {"first_try": gained(0.0), "second_try": gained(second), "no_reflection": gained(plain)}
    pair = {"a": "vanilla", "b": "trained"}
    sampled = [{**pair, "mode": "sampled", "figure": name, "difference": each} for name, each in figures.items()]
    greedy = [{**pair, "mode": "greedy", "figure": "second_try", "difference": gained(-0.5)}]
    return {"pairs": greedy + sampled}


def probed(outlook: str) -> dict[str, Any]:
    return {
        "forecast": {"outlook": outlook, "headroom": gained(0.2)},
        "findings": {"signal_in_a_step": gained(10.0), "first_try": gained(0.1)},
    }


@pytest.mark.parametrize(
    ("second", "plain", "learned"),
    [(0.1, 0.0, True), (0.01, 0.0, False), (0.1, 0.1, False), (-0.1, -0.2, False)],
    ids=["a gain", "none that is sure", "as much without a reflection", "a loss"],
)
def test_a_training_has_learned_if_it_gains_surely_and_more_than_its_control(
    second: float, plain: float, learned: bool
) -> None:
    from probe_calibration import line_of

    assert line_of("x", probed("will learn"), comparison(second, plain))["learned"] is learned


def test_the_table_counts_the_forecasts_that_were_right() -> None:
    from probe_calibration import line_of, table

    lines = [
        line_of("a", probed("will learn"), comparison(0.1, 0.0)),
        line_of("b", probed("warm up first"), comparison(0.0, 0.0)),
        line_of("c", probed("will not"), comparison(0.1, 0.0)),
        line_of("d", probed("cannot be said"), comparison(0.1, 0.0)),
    ]
    made = list(table(lines))
    assert [line.split("|")[-2].strip() for line in made[2:6]] == ["right", "right", "**wrong**", "–"]
    assert "+" not in made[2]
    assert "10.0 [8.0, 12.0] (1000)" in made[2]
    assert made[-1].startswith("2 of 3 forecasts were right, and of 1 pairs nothing could be said.")


def test_the_table_goes_between_the_marks_of_a_page() -> None:
    from probe_calibration import BEGIN, END, written

    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = written(page, ["| new |"])
    assert once == f"before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"
    assert written(once, ["| new |"]) == once
    docs = (Path(__file__).parents[2] / "docs" / "probing.md").read_text(encoding="utf-8")
    assert docs.count(BEGIN) == docs.count(END) == 1


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    from probe_calibration import PAIRS, measure

    write_json(tmp_path / "line.json", {"pair": "x"})
    assert measure(PAIRS[0], tmp_path, {}, Progress()) == {"pair": "x"}


def test_there_are_a_dozen_pairs_with_settings_that_fit_their_tasks() -> None:
    from probe_calibration import PAIRS, settings_of

    assert len({pair.name for pair in PAIRS}) == len(PAIRS) >= 12
    installed = {entry.name for entry in find_tasks()}
    assert {"countdown", "apigen"} < {pair.task for pair in PAIRS}
    for pair in PAIRS:
        if pair.task in installed:
            chosen = settings_of(pair, {"train": {"steps": 3}})
            assert chosen["train"].steps == 3
            assert chosen["train"].batch_size % chosen["train"].group_size == 0
