"""`rrr check --badge` writes what it found, `rrr tasks --badge` reads it, and `--export` checks other libraries'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rrr_core import cli, conformance
from rrr_core.conformance import CHECKS
from rrr_core.conformance.results import Seen
from rrr_core.index import read_badge


@pytest.fixture
def checked(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small task, of which every check passes at once; that they look at it is for other tests."""
    site.install_task("sums")
    for name in CHECKS:
        monkeypatch.setitem(CHECKS, name, lambda subject: Seen("", {"hostile_answers": 7, "mutation_score": 0.5}))
    monkeypatch.setattr("rrr_core.index.making.protections", tuple)


def test_a_badge_and_its_picture_are_written_into_a_folder(
    checked: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run_command(["check", "sums", "--rows", "3", "--badge", str(tmp_path / "badges")]) == 0
    assert "wrote " in capsys.readouterr().out
    badge = read_badge(str(tmp_path / "badges" / "sums.json"))
    assert (badge.who, badge.rows, badge.hostile_answers, badge.mutation_score) == ("rrr-sums 1.0", 3, 7, 0.5)
    assert badge.counts["passed"] == len(CHECKS)
    assert badge.isolation == "sandboxed"
    assert (tmp_path / "badges" / "sums.svg").read_text(encoding="utf-8").startswith("<svg ")


def test_reading_it_says_whether_the_installed_files_are_those_that_were_checked(
    checked: None, site: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "b.json"
    assert cli.run_command(["check", "sums", "--badge", str(path)]) == 0
    assert cli.run_command(["tasks", "--badge", str(path)]) == 0
    assert "the files installed here are those that were checked" in capsys.readouterr().out
    module = site.folder / "rrr_sums.py"
    module.write_text(module.read_text() + "\n# changed\n")
    assert cli.run_command(["tasks", "--badge", str(path), "--json"]) == 0
    assert "not those that were checked" in json.loads(capsys.readouterr().out)["installed"]


def test_a_changed_badge_is_refused(checked: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "b.json"
    assert cli.run_command(["check", "sums", "--badge", str(path)]) == 0
    path.write_text(path.read_text().replace('"version": "1.0"', '"version": "1.1"'))
    assert cli.run_command(["tasks", "--badge", str(path)]) == 2
    assert "its digest does not fit its content" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("sums", "--badge", "b.json", "--only", "task_loads"), "a badge is for all checks"),
        (("sums", "--badge", "b.svg"), "name a folder, or a file that ends in .json"),
        ((), "name a TASK"),
        (("sums", "--export", "verifiers:x"), "give TASK or --export, not both"),
        (("--export", "verifers:x"), "Did you mean 'verifiers'?"),
        (("--export", "verifiers"), "as verifiers:NAME"),
        (("--export", "inspect_ai:x"), "it is played by rrr-inspect, which is not installed"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_checked(
    site: Any,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.install_task("sums")
    monkeypatch.setattr("rrr_core.tasks.find_tasks", list)
    monkeypatch.setattr(conformance, "checks_of", lambda *_: pytest.fail("it checked"))
    assert cli.run_command(["check", *options]) == 2
    assert sentence in capsys.readouterr().err


def test_an_export_is_checked_by_the_task_that_plays_it(
    site: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install("rrr-verifiers", tasks={"verifiers": "rrr_verifiers"}, modules={"rrr_verifiers": ""})
    asked: list[Any] = []

    def checks_of(*given: Any) -> Any:
        asked.extend(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(conformance, "checks_of", checks_of)
    cli.run_command(["check", "--export", "verifiers:marble-v1", "--data", "size=4"])
    assert asked[0] == "verifiers"
    assert asked[2] == {"size": "4", "taskset": "marble-v1"}
