"""`rrr_core.read_run`: a run folder as records that a data frame takes as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

import rrr_core
from rrr_core.errors import RrrError
from rrr_core.runs.files import read_json, read_lines


def test_episodes_are_one_flat_record_each_all_with_the_same_keys(run_folder: Path) -> None:
    run = rrr_core.read_run(run_folder)
    assert len({tuple(record) for record in run.episodes}) == 1
    evaluated = [record for record in run.episodes if record["stage"] == "eval"]
    assert len(evaluated) == 2 * 2 * 240
    sampled = [each for each in evaluated if (each["model"], each["mode"]) == ("trained", "sampled")]
    figures = read_json(run_folder / "eval" / "trained" / "figures.json")["modes"]["sampled"]
    assert sum(each["verdict"] == "passed" for each in sampled) == figures["first_try"]["passed"]
    rights = sum("passed" in (each["verdict"], each["retry_verdict"]) for each in sampled)
    assert rights == figures["second_try"]["passed"]
    failure = next(each for each in sampled if each["verdict"] == "failed")
    assert {failure[key] is None for key in ("reflection", "reflection_kind", "retry", "no_reflection")} == {False}


def test_training_episodes_have_their_step_reward_and_advantage(run_folder: Path) -> None:
    trained = [record for record in rrr_core.read_run(str(run_folder)).episodes if record["stage"] == "train"]
    assert {record["step"] for record in trained} == set(range(1, 61))
    assert {record["model"] for record in trained} == {None}
    assert any(record["advantage"] for record in trained)


def test_metrics_and_figures_are_records_too(run_folder: Path) -> None:
    run = rrr_core.read_run(run_folder)
    assert len(run.metrics) == len(list(read_lines(run_folder / "train" / "metrics.jsonl")))
    assert len({tuple(record) for record in run.metrics}) == 1
    assert {record["figure"] for record in run.figures} >= {"first_try", "second_try"}


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RrrError, match="holds no run"):
        rrr_core.read_run(tmp_path)
