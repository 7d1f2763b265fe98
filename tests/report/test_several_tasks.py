"""The page on several tasks: a run for each, the training they share, and the transfer matrix as a heat map."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from headless import Chromium
from made_run import make_run

from rrr_core.report import write_report
from rrr_core.report.data import read_runs
from rrr_core.runs.files import write_json

HOSTILE = "<img src=x onerror=alert(1)>"


def gain(value: float, reach: float) -> dict[str, Any]:
    return {"value": value, "low": value - reach, "high": value + reach, "total": 90}


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A run of two tasks, whose training's episodes know their task in turns."""
    folder = tmp_path / "both"
    for seed, task in enumerate(("countdown", "dice")):
        made = make_run(folder / "tasks" / task, rows=40, steps=6, seed=seed)
        if seed == 0:
            (made / "train").rename(folder / "train")
            (made / "run.json").rename(folder / "run.json")
        else:
            shutil.rmtree(made / "train")
            (made / "run.json").unlink()
    episodes = folder / "train" / "episodes.jsonl"
    lines = [json.loads(line) for line in episodes.read_text().splitlines()]
    for place, line in enumerate(lines):
        line["task"] = ("countdown", "dice")[place % 2]
    episodes.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def transferred(several: Path) -> Path:
    """The same, with the matrix of a transfer."""
    shown = {"value": 0.2, "low": 0.1, "high": 0.3, "passed": 8, "total": 40}
    over = {"reflection_vs_no_reflection": gain(0.04, 0.01)}
    cells = [
        {"trained_on": row, "evaluated_on": column, "gain": found, "gains": over}
        for row, column, found in (
            ("countdown", "countdown", gain(0.3, 0.1)),
            ("countdown", HOSTILE, gain(-0.1, 0.05)),
            (HOSTILE, "countdown", gain(0.02, 0.1)),
            (HOSTILE, HOSTILE, None),
        )
    ]
    names = ["countdown", HOSTILE]
    untrained = {task: {"second_try": shown, "gains": over} for task in names}
    modes = {"greedy": {"untrained": untrained, "cells": cells}}
    write_json(several / "transfer.json", {"evaluated_on": names, "trained_on": names, "seeds": 1, "modes": modes})
    return several


def test_each_task_is_a_run_with_its_own_figures_and_the_training_they_share(several: Path) -> None:
    payload = read_runs([several])
    assert [run.name for run in payload.runs] == ["both: countdown", "both: dice"]
    for run in payload.runs:
        assert run.missing == []
        assert run.curves is not None
        assert {"run", "train", "mine", "eval/vanilla"} <= set(run.manifests)
        assert "train" in run.profiles
        assert any("The training is of several tasks" in note for note in run.notes)


def test_a_training_episode_is_shown_with_its_own_task(several: Path) -> None:
    totals = [one.total for one in read_runs([several]).sets if one.kind == "training"]
    lines = len((several / "train" / "episodes.jsonl").read_text().splitlines())
    assert totals == [-(-lines // 2), lines // 2]


def test_a_training_of_transfer_is_shown_with_the_task_it_was_on(several: Path) -> None:
    (several / "trained").mkdir()
    (several / "train").rename(several / "trained" / "on-dice")
    countdown, dice = read_runs([several]).runs
    assert dice.curves is not None
    assert countdown.curves is None
    assert not any("several tasks" in note for note in dice.notes)


def test_a_damaged_matrix_is_left_out_and_said(several: Path) -> None:
    (several / "transfer.json").write_text("{}")
    said: list[str] = []
    assert read_runs([several], said.append).transfers == []
    assert any("transfer.json" in line for line in said)


def test_the_matrix_is_on_the_page_as_it_was_written(transferred: Path) -> None:
    (found,) = read_runs([transferred]).transfers
    written = json.loads((transferred / "transfer.json").read_text())
    assert dataclasses.asdict(found) == {"name": "both", "matrix": written}


def test_a_cell_of_the_heat_map_says_its_interval_and_is_coloured_only_if_it_leaves_zero_out(
    chromium: Chromium, transferred: Path, tmp_path: Path
) -> None:
    write_report([transferred], tmp_path / "page.html")
    chromium.open((tmp_path / "page.html").as_uri())
    cells = chromium.evaluate(
        "[...document.querySelectorAll('#transfer-0 .heat')].map((cell) => [cell.className, cell.innerText])"
    )
    assert [name for name, _ in cells] == ["heat heat-plus-3", "heat heat-minus-2", "heat", "heat"]
    texts = [re.sub(r"\s+", " ", text) for _, text in cells]
    assert texts[0] == "+30.0 +20.0 to +40.0, n 90 its own task over no reflection +4.0 (+3.0 to +5.0)"
    assert texts[1].startswith("−10.0 −15.0 to −5.0, n 90")
    assert texts[2].startswith("+2.0 −8.0 to +12.0, n 90")
    assert texts[3].startswith("–")
    assert chromium.evaluate("document.querySelectorAll('#transfer-0 img').length") == 0
    assert HOSTILE in chromium.evaluate("document.querySelector('#transfer-0').innerText")
