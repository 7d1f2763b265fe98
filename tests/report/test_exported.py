"""The tables as Markdown and CSV: the page's figures, and nothing that a reader's program would run."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from rrr_core.cli import run_command
from rrr_core.report.data import read_runs
from rrr_core.report.evidence import points
from rrr_core.report.exported import as_csv, as_markdown
from rrr_core.report.tidy import COLUMNS, tidy
from rrr_core.runs.files import read_json


def test_csv_has_every_figure_unrounded(run_folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(read_runs([run_folder]).runs))))
    wanted = read_json(run_folder / "eval" / "trained" / "figures.json")["modes"]["sampled"]
    (found,) = (r for r in rows if (r["model"], r["mode"], r["figure"]) == ("trained", "sampled", "second_try"))
    assert float(found["value"]) == wanted["second_try"]["value"]
    assert int(found["total"]) == wanted["second_try"]["total"]
    assert {"reflection_vs_no_reflection", "round_1_entered", "reflections_generic", "retries_after_generic"} <= {
        each["figure"] for each in rows
    }
    assert {each["model"] for each in rows} >= {"vanilla", "trained", "trained - vanilla"}


def test_markdown_has_the_headline_the_checks_and_the_tables_with_the_pages_rounding(run_folder: Path) -> None:
    run = read_runs([run_folder]).runs[0]
    text = as_markdown([run])
    assert run.evidence.headline in text
    assert all(check.title in text for check in run.evidence.checks)
    assert f"| trained − vanilla | sampled | second\\_try | {points(run.evidence.gain['value'])} (" in text.replace(
        "second_try", "second\\_try"
    )
    assert "## Kinds of reflection, sampled" in text


def test_a_hostile_label_opens_no_markup_and_is_no_formula(run_folder: Path) -> None:
    run = read_runs([run_folder]).runs[0]
    hostile = "=1+1|<img src=x>\u202e`[x](javascript:1)\n# title"
    run.figures[hostile] = run.figures.pop("trained")
    text = as_markdown([run])
    assert "<img" not in text
    assert "\u202e" not in text
    assert "\n# title" not in text
    assert "\\|&lt;img" in text
    cells = [each["model"] for each in csv.DictReader(io.StringIO(as_csv([run])))]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    assert "\u202e" not in "".join(cells)


def test_every_record_has_the_same_columns(run_folder: Path) -> None:
    assert {tuple(record) for record in tidy(read_runs([run_folder]).runs)} == {COLUMNS}


@pytest.mark.parametrize(("form", "name"), [("markdown", "report.md"), ("csv", "report.csv")])
def test_the_command_writes_the_tables_beside_the_page(run_folder: Path, tmp_path: Path, form: str, name: str) -> None:
    assert run_command(["report", str(run_folder), "--format", form, "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--watch", "--format", "csv"], "--watch writes a page"),
        (["--every", "5"], "--every belongs to --watch"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    run_folder: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["report", str(run_folder), *options]) == 2
    assert said in capsys.readouterr().err
