"""A prompt with tools: the page shows them like any other text of the episode."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from headless import Chromium
from made_run import make_run

from rrr_core.report import write_report
from rrr_core.runs.files import read_lines, write_lines

pytestmark = pytest.mark.browser

TOOLS = json.dumps([{"type": "function", "function": {"name": "add<b>", "parameters": {"type": "object"}}}])


def test_the_tools_of_a_prompt_come_before_the_question(chromium: Chromium, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", rows=6, steps=2)
    for path in [*folder.glob("eval/*/*-*.jsonl"), folder / "train" / "episodes.jsonl"]:
        records = list(read_lines(path))
        for record in records:
            record["segments"][0]["messages"].insert(0, {"role": "tools", "content": TOOLS})
        write_lines(path, records)
    write_report([folder], tmp_path / "report.html")
    chromium.open((tmp_path / "report.html").as_uri())
    turns = chromium.evaluate("[...document.querySelectorAll('#episode .turn')].map(each => each.textContent)")
    row, tools, asked = turns[:3]
    assert row.startswith("Row")
    assert tools == f"Prompt (tools){TOOLS}"
    assert asked.startswith("Prompt (user)")
