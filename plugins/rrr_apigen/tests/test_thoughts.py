"""A reasoning model's calls are judged without its thought, whether or not the chat template opened it."""

import io
import json

import pytest

from rrr_core.judging.answer_files import judge_file
from rrr_core.tasks import load_task
from rrr_core.verification import Judge

ROW = {
    "query": "Weather in Oslo for 5 days?",
    "tools": [
        {
            "name": "weather",
            "description": "",
            "parameters": {
                "city": {"description": "", "type": "str"},
                "days": {"description": "", "type": "int"},
            },
        }
    ],
    "answers": [{"name": "weather", "arguments": {"city": "Oslo", "days": 5}}],
}
CALLS = json.dumps(ROW["answers"])


@pytest.mark.parametrize(
    ("answer", "outcome", "category"),
    [
        (f"The user wants Oslo.\n</think>\n\n{CALLS}", "passed", ""),
        (f"<think>\nThe user wants Oslo.\n</think>\n\n{CALLS}", "passed", ""),
        (f"<think>\n{CALLS}", "failed", "cut off"),
        (f"<think>\n{CALLS}\n</think>\n\nI call weather.", "failed", "format"),
    ],
)
def test_only_the_answer_is_judged(answer, outcome, category):
    written = []
    line = json.dumps({"row": ROW, "answer": answer}).encode()
    with Judge(load_task("apigen")) as judge, Judge(load_task("apigen"), 1.0) as limit:
        judge_file(io.BytesIO(line), "answers", judge, written.append, limit)
    verdict = json.loads("".join(written))
    assert (verdict["verdict"], verdict["category"]) == (outcome, category)
