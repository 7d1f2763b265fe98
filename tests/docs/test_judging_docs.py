"""`docs/judging.md` is true: its answers get its verdicts, and its tables list what the commands write."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rrr_core import cli
from rrr_core.cli.rejudge import HEADINGS
from rrr_core.judging.answer_files import COURSE_KEYS, KEYS, verdict_line
from rrr_core.verdicts import passed

PAGE = (Path(__file__).parents[2] / "docs" / "judging.md").read_text(encoding="utf-8")


def explained(heading: str) -> list[str]:
    """The first cells of the table with this heading over its second column."""
    table = re.search(rf"^\| \w+ \| {heading} \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None
    return re.findall(r"^\| `([^`]+)`", table[1], re.MULTILINE)


def test_the_answers_of_the_page_get_its_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers, verdicts = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "answers.jsonl").write_text(answers)
    assert cli.run_command(["verify", "countdown", str(tmp_path / "answers.jsonl")]) == 0
    assert capsys.readouterr().out == verdicts


def test_the_keys_of_both_lines_are_explained() -> None:
    assert explained("in") == list(dict.fromkeys((*KEYS, *COURSE_KEYS)))
    assert explained("out") == list(json.loads(verdict_line(passed())))


def test_the_columns_of_the_table_are_explained() -> None:
    assert tuple(explained("verdicts")) == HEADINGS[-3:]
