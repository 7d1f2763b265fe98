"""Controls: one module holds their names and conversations, and unknown ones are refused everywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from planted_world import PlantedModel, run

import rrr_core
from rrr_core.errors import DataError, RrrError
from rrr_core.evaluation import compare, figures, read_episodes
from rrr_core.evaluation.controls import CONTROLS, control_named
from rrr_core.judging.kept_answers import find_stages, kept_answers, read_stage
from rrr_core.verdicts import failed
from tests.episodes import make_episode

CORE = Path(rrr_core.__file__).parent
ROOT = CORE.parent
HOME = CORE / "evaluation" / "controls.py"
SOURCES = [
    path
    for path in sorted([*CORE.rglob("*.py"), *CORE.rglob("*.js"), *(ROOT / "benchmarks").glob("*.py")])
    if path != HOME
]
NAMES = {
    name
    for control in CONTROLS
    for name in (
        control.key,
        control.figure,
        control.gain,
        control.heading,
        control.answer,
        control.claim,
        control.doubt,
    )
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_controls_names_are_written_only_in_its_home(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("’", "'")
    assert [name for name in sorted(NAMES) if f'"{name}"' in text or f"'{name}'" in text] == []


@pytest.mark.parametrize("field", ["key", "figure", "gain", "heading", "short", "answer", "claim"])
def test_no_two_controls_share_a_name(field: str) -> None:
    names = [getattr(control, field) for control in CONTROLS]
    assert len(set(names)) == len(names)


def test_an_unknown_control_is_refused_with_the_nearest() -> None:
    with pytest.raises(RrrError, match="no evaluation control 'no_reflexion'.* Did you mean 'no_reflection'"):
        control_named("no_reflexion")


def test_figures_of_an_unknown_control_are_refused() -> None:
    episode = make_episode(failed(""), failed(""), controls={"no_reflexion": (("", failed("")),)})
    for controls in (None, ["no_reflexion"]):
        with pytest.raises(RrrError, match="Did you mean 'no_reflection'"):
            figures([episode], controls)


def test_an_unknown_control_in_a_shard_is_refused_with_file_and_line(tmp_path: Path) -> None:
    folder = tmp_path / "eval" / "m"
    run(folder, PlantedModel(first=0), rows=3, modes=("greedy",))
    shard = folder / "greedy-00000.jsonl"
    shard.write_text(shard.read_text().replace('"no_reflection"', '"no_reflexion"'))
    complaint = r"greedy-00000\.jsonl:1: There is no evaluation control 'no_reflexion'.* Did you mean 'no_reflection'"
    with pytest.raises(DataError, match=complaint):
        list(read_episodes(folder, "greedy"))
    with pytest.raises(DataError, match=complaint):
        compare([folder], tmp_path / "comparison.json")
    (stage,) = find_stages(tmp_path)
    with pytest.raises(DataError, match=complaint):
        [kept_answers(stage, record, f"{path}:{number}") for path, number, record in read_stage(stage)]


ADDED = """    Control(
        key="own_twice",
        figure="twice",
        heading="second try, its reflection read twice",
        short="read twice",
        answer="a retry after its reflection was read twice",
        claim="Reading once is better than reading twice",
        doubt="Reading twice may do as well",
        difference="Once − twice",
        conversations=lambda failed: [None, *([{"role": "user", "content": "Twice."}] for _ in failed.episodes[1:])],
    ),
)
CONTROL_KEYS ="""
PROGRAM = """
import io, json, sys
from pathlib import Path
from planted_world import PlantedModel, run
from rich.console import Console
from rrr_core.cli.tables import print_comparison
from rrr_core.evaluation import compare, control_table
from rrr_core.report import write_report

folder = Path(sys.argv[1])
for label in ("vanilla", "trained"):
    run(folder / "eval" / label, PlantedModel(name=label), label=label, rows=40, modes=("greedy",))
comparison = compare([folder / "eval" / label for label in ("vanilla", "trained")], folder / "eval" / "comparison.json")
out = io.StringIO()
print_comparison(comparison, Console(file=out))
write_report([folder], folder / "report.html")
print(json.dumps([comparison, control_table(comparison)[0], out.getvalue()]))
"""


def test_a_new_control_is_one_entry_in_one_file(tmp_path: Path) -> None:
    shutil.copytree(CORE, tmp_path / "rrr_core", ignore=shutil.ignore_patterns("__pycache__"))
    home = tmp_path / "rrr_core" / "evaluation" / "controls.py"
    before, closing, after = home.read_text(encoding="utf-8").partition(")\nCONTROL_KEYS =")
    assert closing
    home.write_text(before + ADDED + after, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent)])
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "run")]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    comparison, row, terminal = json.loads(done.stdout)
    greedy = comparison["figures"]["trained"]["modes"]["greedy"]
    assert list(greedy)[:7] == [
        *("first_try", "second_try", "no_reflection", "other_reflection", "pass_at_2", "twice"),
        "second_try_of_failures",
    ]
    # The control skips the first failed row; its figure covers the others.
    assert greedy["left_out"] == {"no_reflection": 0, "other_reflection": 0, "pass_at_2": 0, "twice": 1}
    assert greedy["twice"]["total"] == 39
    assert greedy["gains"]["reflection_vs_twice"]["total"] == 39
    assert "twice" in {pair["figure"] for pair in comparison["pairs"]}
    assert "read twice" in row
    assert "control: read twice" in terminal
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for words in (
        '"twice":"Second try, its reflection read twice"',
        '"reflection_vs_twice":"over read twice"',
        '"own_twice":"a retry after its reflection was read twice"',
        "Reading twice may do as well",
    ):
        assert words in page
