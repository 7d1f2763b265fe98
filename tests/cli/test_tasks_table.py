"""`rrr tasks`: which distribution has which task, and what is wrong with a broken one."""

from __future__ import annotations

import pytest

from rrr_core import cli
from rrr_core.cli.tasks import HEADINGS, table
from rrr_core.tasks import TaskDescription, TaskEntry

GOOD = TaskDescription(TaskEntry("sums", "rrr-sums", "1.2", "rrr_sums"), ("rrr_prompt", "rrr_verify"), "ok")
BROKEN = TaskDescription(
    TaskEntry("words", "rrr-words\x1b[2J", "0.1", "rrr_words"), (), "rrr-words 0.1: ImportError: no\nsuch \x07module"
)


def test_columns_are_aligned_and_a_broken_task_has_its_error_below_it() -> None:
    assert table(HEADINGS, [GOOD, BROKEN]) == [
        "task   distribution   version  state   hooks",
        "sums   rrr-sums       1.2      ok      prompt verify",
        "words  rrr-words�[2J  0.1      broken",
        "  rrr-words 0.1: ImportError: no such �module",
    ]


def test_overlays_have_a_table_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rrr_core.tasks.find_tasks", lambda: [GOOD.entry])
    monkeypatch.setattr("rrr_core.tasks.find_overlays", lambda: [BROKEN.entry])
    monkeypatch.setattr("rrr_core.tasks.describe_task", {GOOD.entry: GOOD, BROKEN.entry: BROKEN}.__getitem__)
    assert cli.run_command(["tasks"]) == 0
    out = capsys.readouterr().out
    assert out.index("task ") < out.index("sums") < out.index("overlay ") < out.index("words")


def test_a_bare_core_says_where_to_get_a_task(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rrr_core.tasks.find_tasks", list)
    monkeypatch.setattr("rrr_core.tasks.find_overlays", list)
    assert cli.run_command(["tasks"]) == 0
    assert capsys.readouterr().out == "no task is installed; for one, pip install rrr-countdown\n"


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run_command([])
    captured = capsys.readouterr()
    assert "Commands:" in captured.out + captured.err
