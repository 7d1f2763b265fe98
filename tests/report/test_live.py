"""Watching a run: the page is written whole as files change, and for the last time when the run ends."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from rrr_core.report.data import read_runs
from rrr_core.report.live import has_ended, watch
from rrr_core.runs.files import write_json


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.fixture
def going(run_folder: Path, tmp_path: Path) -> Path:
    """A run in the midst of training."""
    folder = Path(shutil.copytree(run_folder, tmp_path / "going"))
    shutil.rmtree(folder / "eval")
    stages = {"mine": {"state": "finished"}, "train": {"state": "running"}}
    write_json(folder / "run.json", {"kind": "run", "stages": stages})
    lines = (folder / "train" / "metrics.jsonl").read_text().splitlines()[:9]
    (folder / "train" / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 10, "kl')
    return folder


def test_the_page_follows_the_run_and_the_last_one_loads_itself_no_more(going: Path, tmp_path: Path) -> None:
    page, seen = tmp_path / "page.html", []

    def wait(seconds: float) -> None:
        seen.append((seconds, page.stat().st_mtime_ns, data_of(page)["live"]))
        if len(seen) == 2:
            record = {"kind": "run", "stages": {"train": {"state": "finished"}, "report": {"state": "finished"}}}
            write_json(going / "run.json", record)

    watch([going], page, 7.0, lambda _: None, wait)
    (_, first, live), (_, second, _) = seen
    assert live == 7.0
    assert first == second, "nothing had changed"
    assert data_of(page)["live"] is None


def test_what_is_not_there_yet_is_not_missing_and_half_a_line_is_not_damage(going: Path) -> None:
    run = read_runs([going], live=7.0).runs[0]
    assert run.missing == []
    assert run.curves is not None
    assert run.curves.logged == 9


def test_ctrl_c_leaves_a_page_that_loads_itself_no_more(going: Path, tmp_path: Path) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    said: list[str] = []
    watch([going], tmp_path / "page.html", 7.0, said.append, interrupt)
    assert said[0].startswith("stopped watching")
    assert data_of(tmp_path / "page.html")["live"] is None


@pytest.mark.parametrize(
    ("stages", "ended"),
    [
        ({"report": {"state": "finished"}}, True),
        ({"mine": {"state": "finished"}, "train": {"state": "running"}}, False),
        ({"train": {"state": "interrupted"}}, True),
        ({"train": {"state": "failed"}}, True),
        ({}, False),
    ],
)
def test_a_run_ends_with_its_report_or_when_it_stops(tmp_path: Path, stages: dict[str, Any], ended: bool) -> None:
    write_json(tmp_path / "run.json", {"stages": stages})
    assert has_ended(tmp_path) is ended


def test_a_folder_without_a_record_or_with_a_broken_one_goes_on(tmp_path: Path) -> None:
    assert not has_ended(tmp_path)
    (tmp_path / "run.json").write_text("{")
    assert not has_ended(tmp_path)
