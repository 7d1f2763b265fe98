"""`compare`: models on the same rows, paired in every mode they share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from planted_world import PlantedModel, PlantedTask, run

from rrr_core.errors import DataError, RrrError
from rrr_core.evaluation import compare, control_table, read_episodes, table
from rrr_core.evaluation.statistics import paired_difference

VANILLA = PlantedModel(first=0.1, own=0.2, other=0.2, none=0.15, name="vanilla-model")
TRAINED = PlantedModel(first=0.5, own=0.7, other=0.3, none=0.3, name="trained-model")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("eval")
    run(root / "vanilla", VANILLA, label="vanilla", rows=400)
    run(root / "trained", TRAINED, label="trained", rows=400, max_tokens=99)
    return [root / "vanilla", root / "trained"]


@pytest.fixture(scope="module")
def comparison(folders: list[Path]) -> dict[str, Any]:
    return compare(folders, folders[0].parent / "comparison.json")


def pair(comparison: dict[str, Any], figure: str, mode: str = "sampled") -> dict[str, Any]:
    (found,) = [each for each in comparison["pairs"] if (each["figure"], each["mode"]) == (figure, mode)]
    return dict(found)


def test_the_written_comparison_equals_the_returned_one(folders: list[Path], comparison: dict[str, Any]) -> None:
    assert json.loads((folders[0].parent / "comparison.json").read_text()) == comparison
    assert comparison["labels"] == ["vanilla", "trained"]
    assert comparison["figures"]["trained"] == json.loads((folders[1] / "figures.json").read_text())


def test_a_difference_is_the_second_folder_minus_the_first_row_by_row(
    folders: list[Path], comparison: dict[str, Any]
) -> None:
    first, second = ([each.verdict.is_passed for each in read_episodes(folder, "greedy")] for folder in folders)
    rows = list(zip(first, second, strict=True))
    counts = [rows.count(both) for both in ((True, True), (True, False), (False, True), (False, False))]
    found = pair(comparison, "first_try", "greedy")
    assert list(found["transitions"].values()) == counts
    assert list(found["transitions"]) == ["right→right", "right→wrong", "wrong→right", "wrong→wrong"]
    expected = paired_difference(*counts)
    assert (found["difference"]["value"], found["difference"]["p"]) == (expected.value, expected.p)
    assert found["difference"]["low"] == expected.low > 0.3


def test_the_striking_claim_is_the_trained_first_try_minus_the_untrained_second(comparison: dict[str, Any]) -> None:
    found = pair(comparison, "first_try_b_vs_second_try_a")["difference"]
    trained = comparison["figures"]["trained"]["modes"]["sampled"]["first_try"]["value"]
    vanilla = comparison["figures"]["vanilla"]["modes"]["sampled"]["second_try"]["value"]
    assert found["value"] == pytest.approx(trained - vanilla)
    assert found["low"] > 0


def test_every_figure_of_both_is_paired_in_every_mode(comparison: dict[str, Any]) -> None:
    figures = [
        "first_try",
        "second_try",
        "no_reflection",
        "other_reflection",
        "pass_at_2",
        "first_try_b_vs_second_try_a",
    ]
    assert [(each["mode"], each["figure"]) for each in comparison["pairs"]] == [
        (mode, figure) for mode in ("greedy", "sampled") for figure in figures
    ]


def test_other_differences_between_two_evaluations_are_noted(comparison: dict[str, Any]) -> None:
    assert comparison["notes"] == ["vanilla and trained differ in settings.max_tokens: 512 and 99."]


def test_rows_with_an_abstention_in_either_model_are_excluded_from_the_pair(tmp_path: Path) -> None:
    doubtful = PlantedModel(doubtful=0.3, name="doubtful")
    run(tmp_path / "a", doubtful, label="a", rows=100, modes=("greedy",), max_abstain=1.0)
    run(tmp_path / "b", PlantedModel(name="sure"), label="b", rows=100, modes=("greedy",))
    comparison = compare([tmp_path / "a", tmp_path / "b"], tmp_path / "comparison.json")
    withheld = comparison["figures"]["a"]["modes"]["greedy"]["abstentions"]["first_try"]
    assert withheld > 0
    assert pair(comparison, "first_try", "greedy")["difference"]["total"] == 100 - withheld


def test_three_models_make_three_pairs_and_a_is_the_one_named_first(tmp_path: Path) -> None:
    for label in "xyz":
        run(tmp_path / label, PlantedModel(name=label), label=label, rows=5, modes=("greedy",))
    comparison = compare([tmp_path / label for label in "zxy"], tmp_path / "comparison.json")
    assert list(dict.fromkeys((each["a"], each["b"]) for each in comparison["pairs"])) == [
        ("z", "x"),
        ("z", "y"),
        ("x", "y"),
    ]


def test_one_model_is_a_comparison_without_pairs(folders: list[Path], tmp_path: Path) -> None:
    assert compare(folders[:1], tmp_path / "comparison.json")["pairs"] == []


def test_a_control_that_one_model_did_not_run_is_not_paired(folders: list[Path], tmp_path: Path) -> None:
    run(tmp_path / "bare", TRAINED, label="bare", rows=400, modes=("sampled",), controls=())
    comparison = compare([folders[0], tmp_path / "bare"], tmp_path / "comparison.json")
    assert [each["figure"] for each in comparison["pairs"]] == [
        "first_try",
        "second_try",
        "first_try_b_vs_second_try_a",
    ]


@pytest.mark.parametrize(
    ("task", "rows", "complaint"),
    [(PlantedTask(offset=1), 400, "row 0 is not the same"), (PlantedTask(), 399, "400 and 399 of them")],
)
def test_models_evaluated_on_different_rows_are_refused_naming_both(
    folders: list[Path], tmp_path: Path, task: PlantedTask, rows: int, complaint: str
) -> None:
    run(tmp_path / "elsewhere", TRAINED, task, label="elsewhere", rows=rows, modes=("greedy",))
    with pytest.raises(RrrError, match=complaint) as raised:
        compare([folders[0], tmp_path / "elsewhere"], tmp_path / "comparison.json")
    assert str(folders[0]) in str(raised.value)
    assert str(tmp_path / "elsewhere") in str(raised.value)
    assert not (tmp_path / "comparison.json").exists()


def test_models_without_a_mode_in_common_are_refused(tmp_path: Path) -> None:
    for mode in ("greedy", "sampled"):
        run(tmp_path / mode, PlantedModel(), label=mode, rows=5, modes=(mode,))
    with pytest.raises(RrrError, match="evaluate both in the same mode"):
        compare([tmp_path / "greedy", tmp_path / "sampled"], tmp_path / "comparison.json")


def test_two_models_with_one_label_are_refused(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(RrrError, match="both labelled 'vanilla'"):
        compare([folders[0], folders[0]], tmp_path / "comparison.json")


def test_an_unfinished_evaluation_is_refused(folders: list[Path], tmp_path: Path) -> None:
    (tmp_path / "started").mkdir()
    with pytest.raises(RrrError, match="unfinished"):
        compare([folders[0], tmp_path / "started"], tmp_path / "comparison.json")
    with pytest.raises(RrrError, match="is not a folder"):
        compare([tmp_path / "nowhere"], tmp_path / "comparison.json")
    with pytest.raises(RrrError, match="nothing to compare"):
        compare([], tmp_path / "comparison.json")


def test_a_file_that_holds_no_figures_is_refused(folders: list[Path], tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text("[]")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match=r"figures\.json:1: the figures of an evaluation must be a JSON object"):
        compare([tmp_path], tmp_path / "comparison.json")


def test_the_table_has_the_papers_four_columns_and_a_row_per_mode(comparison: dict[str, Any]) -> None:
    greedy, sampled = table(comparison)
    assert list(greedy) == ["mode", "vanilla 1st", "vanilla 2nd", "trained 1st", "trained 2nd"]
    assert (greedy["mode"], sampled["mode"]) == ("greedy", "sampled")
    first = comparison["figures"]["vanilla"]["modes"]["greedy"]["first_try"]
    assert greedy["vanilla 1st"].startswith(f"{100 * first['value']:.1f} (")


def test_the_control_table_has_a_row_per_mode_and_model(comparison: dict[str, Any]) -> None:
    rows = control_table(comparison)
    assert [(row["mode"], row["model"]) for row in rows] == [
        (mode, label) for mode in ("greedy", "sampled") for label in ("vanilla", "trained")
    ]
    assert "–" not in {row["pass@2"] for row in rows}


def test_what_was_not_measured_is_a_dash_in_a_table(tmp_path: Path) -> None:
    run(tmp_path / "bare", TRAINED, label="bare", rows=10, modes=("sampled",), controls=())
    comparison = compare([tmp_path / "bare"], tmp_path / "comparison.json")
    assert control_table(comparison)[0]["pass@2"] == "–"
