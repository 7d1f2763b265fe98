"""The transfer matrix: gains over the untrained model and over the controls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rrr_core.errors import DataError
from rrr_core.evaluation.transfer import read_transfer, transfer_matrix
from rrr_core.runs.digests import Digests


def difference(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "p": 0.5, "total": 90, "only_first": 1}


def comparison(**gains: float) -> dict[str, Any]:
    """That of a task: label → how much its second try gains over the untrained model."""

    def figures(value: float) -> dict[str, Any]:
        over = {"reflection_vs_no_reflection": difference(value / 2), "reflection_vs_pass_at_2": None}
        share = {"value": 0.2 + value, "low": 0.1, "high": 0.3, "passed": 20, "total": 100}
        return {"modes": {"greedy": {"second_try": share, "gains": over}}}

    def pair(a: str, b: str, figure: str, value: float) -> dict[str, Any]:
        return {"a": a, "b": b, "mode": "greedy", "figure": figure, "difference": difference(value)}

    return {
        "figures": {"vanilla": figures(0.0), **{label: figures(value) for label, value in gains.items()}},
        "pairs": [
            *(pair("vanilla", label, "first_try", 0.9) for label in gains),
            *(pair("vanilla", label, "second_try", value) for label, value in gains.items()),
            *(pair(a, b, "second_try", 0.8) for a in gains for b in gains if a < b),
        ],
    }


def cell(matrix: dict[str, Any], trained: str, task: str) -> dict[str, Any]:
    (found,) = (
        each
        for each in matrix["modes"]["greedy"]["cells"]
        if (each["trained_on"], each["evaluated_on"]) == (trained, task)
    )
    return found


@pytest.fixture
def matrix() -> dict[str, Any]:
    comparisons = {"a": comparison(on_a=0.3, on_b=0.1), "b": comparison(on_a=-0.2, on_b=0.4)}
    return transfer_matrix(comparisons, {"a": ["on_a"], "b": ["on_b"]}, "vanilla")


def test_a_cell_is_the_second_trys_gain_over_the_untrained_model_with_its_interval_and_rows(
    matrix: dict[str, Any],
) -> None:
    assert [[cell(matrix, row, task)["gain"]["value"] for task in "ab"] for row in "ab"] == [[0.3, -0.2], [0.1, 0.4]]
    assert cell(matrix, "a", "a")["gain"] == {
        "value": 0.3,
        "low": pytest.approx(0.2),
        "high": 0.4,
        "p": 0.5,
        "total": 90,
    }


def test_beside_it_is_the_gain_over_each_control_that_was_run(matrix: dict[str, Any]) -> None:
    assert {name: gain["value"] for name, gain in cell(matrix, "b", "b")["gains"].items()} == {
        "reflection_vs_no_reflection": 0.2
    }
    assert matrix["modes"]["greedy"]["untrained"]["a"]["second_try"]["value"] == 0.2


def test_several_seeds_give_a_mean_with_students_interval_over_them() -> None:
    seeds = comparison(one=0.1, two=0.2, three=0.3)
    found = cell(transfer_matrix({"a": seeds}, {"a": ["one", "two", "three"]}, "vanilla"), "a", "a")["gain"]
    half = 4.302653 * 0.1 / 3**0.5  # Student's t at 2 degrees of freedom
    assert (found["value"], found["low"], found["high"]) == pytest.approx((0.2, 0.2 - half, 0.2 + half))


def test_a_cell_with_a_seed_that_was_not_compared_has_no_gain() -> None:
    seeds = comparison(one=0.1, two=0.2)
    seeds["pairs"][-2]["difference"] = None
    assert cell(transfer_matrix({"a": seeds}, {"a": ["one", "two"]}, "vanilla"), "a", "a")["gain"] is None


def test_a_written_matrix_is_read_and_a_changed_one_refused(matrix: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "transfer.json"
    digests = Digests(tmp_path)
    digests.write_json(path, matrix)
    digests.settle([path])
    assert read_transfer(path) == matrix
    path.write_text(path.read_text().replace("0.3", "0.9"))
    with pytest.raises(DataError, match="transfer.json"):
        read_transfer(path)


def test_a_damaged_matrix_is_named(tmp_path: Path, matrix: dict[str, Any]) -> None:
    matrix["modes"]["greedy"]["cells"][0]["gain"]["low"] = "much"
    Digests(tmp_path).write_json(tmp_path / "transfer.json", matrix)
    with pytest.raises(DataError, match="transfer.json:1"):
        read_transfer(tmp_path / "transfer.json")
