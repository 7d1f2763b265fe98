"""General benchmarks on the page, beside the gains."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from headless import Chromium

from rrr_core.evaluation import compare
from rrr_core.evaluation.statistics import wilson
from rrr_core.report import write_report
from rrr_core.report.data import read_runs
from rrr_core.runs.files import write_json, write_lines
from rrr_core.runs.layout import RunFolder

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m"


def measured(folder: Path, label: str, key: str, knows: Callable[[int], bool]) -> None:
    """Answers of a model to 100 items of a benchmark."""
    files = RunFolder(folder).evaluation(label).forgetting
    items = [
        {"number": each, "row": f"row {each}", "prompt": f"prompt {each}", "right": knows(each), "answer": HOSTILE}
        for each in range(100)
    ]
    write_lines(files.items("gsm8k"), items)
    right = sum(item["right"] is True for item in items)
    score = {"title": "GSM8K", "right": asdict(wilson(right, 100)), "parts": {"gsm8k": {"passed": right, "total": 100}}}
    write_json(files.scores, {"label": label, "benchmarks": {key: score}})


@pytest.fixture(scope="module")
def run(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose trained model has forgotten every fourth thing that it knew."""
    folder = Path(shutil.copytree(run_folder, tmp_path_factory.mktemp("forgetting") / "run"))
    measured(folder, "vanilla", "gsm8k", lambda number: number < 40)
    measured(folder, "trained", "gsm8k", lambda number: number < 40 and number % 4 > 0)
    files = RunFolder(folder)
    compare([files.evaluation(label).path for label in ("vanilla", "trained")], files.comparison)
    return folder


def test_the_pages_data_have_each_models_share_and_the_paired_difference(run: Path) -> None:
    found = read_runs([run]).runs[0].forgetting
    assert found is not None
    assert found.titles == {"gsm8k": "GSM8K"}
    assert [found.scores[label]["gsm8k"]["passed"] for label in ("vanilla", "trained")] == [40, 30]
    (pair,) = found.pairs
    assert pair["difference"]["value"] == pytest.approx(-0.1)
    assert (pair["difference"]["only_first"], pair["difference"]["total"]) == (10, 100)


def test_a_run_without_it_has_no_section(run_folder: Path) -> None:
    assert read_runs([run_folder]).runs[0].forgetting is None


def test_damaged_scores_are_reported_and_the_rest_is_shown(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    scores = RunFolder(folder).evaluation("trained").forgetting.scores
    record = json.loads(scores.read_text())
    record["benchmarks"]["gsm8k"]["right"]["value"] = "most"
    scores.write_text(json.dumps(record))
    found = read_runs([folder]).runs[0]
    assert found.forgetting is not None
    assert list(found.forgetting.scores) == ["vanilla"]
    assert any("eval/trained/forgetting/scores.json" in line for line in found.missing)


def test_the_page_has_a_table_and_nothing_that_a_model_wrote(chromium: Chromium, run: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report([run], page)
    assert HOSTILE not in page.read_text()
    chromium.open(page.as_uri())
    cells = chromium.evaluate("[...document.querySelectorAll('#forgetting tbody td')].map(each => each.textContent)")
    assert chromium.evaluate("document.querySelector('#forgetting tbody th').textContent") == "GSM8K"
    assert [cell[:4] for cell in cells[:2]] == ["40.0", "30.0"]
    assert cells[2].startswith("−10.0")
    assert chromium.complaints() == []
