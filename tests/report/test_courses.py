"""An episode of courses: the page shows actions and observations in order, and what was judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from headless import Chromium
from made_run import make_run

from rrr_core.report import write_report
from rrr_core.runs.files import read_lines, write_lines

pytestmark = pytest.mark.browser


def test_a_course_is_shown_action_by_action_with_what_was_judged(chromium: Chromium, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", rows=6, steps=2)
    for path in folder.glob("eval/*/*-*.jsonl"):
        records = list(read_lines(path))
        for record in records:
            prompt, attempt, *others = record["segments"]
            seen = {"role": "observation", "messages": [{"role": "user", "content": "<b>higher</b>"}]}
            last = {**attempt, "text": "answer <i>5</i>", "judged": "<script>5</script> after 3"}
            record["segments"] = [prompt, {"role": "attempt", "text": "guess 3"}, seen, last, *others]
        write_lines(path, records)
    (folder / "train" / "episodes.jsonl").unlink()
    write_report([folder], tmp_path / "report.html")
    chromium.open((tmp_path / "report.html").as_uri())
    turns = chromium.evaluate("[...document.querySelectorAll('#episode .turn')].map(each => each.textContent)")
    assert [turn.partition("action")[0] for turn in turns[2:5]] == ["Attempt, ", turns[3], "Attempt, "]
    assert turns[2] == "Attempt, action 1guess 3"
    assert turns[3] == "Observation (user)<b>higher</b>"
    assert turns[4].startswith("Attempt, action 2answer <i>5</i>Judged:<script>5</script> after 3")
    assert chromium.evaluate("document.querySelectorAll('#episode .turn b, #episode .turn i').length") == 0
