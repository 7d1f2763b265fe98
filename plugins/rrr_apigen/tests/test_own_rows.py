"""Rows from outside: as published, with JSON in strings, and as the task gives them."""

import io
import json
from itertools import islice

import pytest
from rrr_apigen import calls, row_shape, rows

from rrr_core.errors import DataError
from rrr_core.judging.answer_files import judge_file
from rrr_core.row_files import RowError
from rrr_core.tasks import load_task
from rrr_core.verification import Judge, VerifySettings

ROW = {
    "query": "Wind in Rome?",
    "tools": [{"name": "get_wind", "description": "", "parameters": {"city": {"description": "", "type": "str"}}}],
    "answers": [{"name": "get_wind", "arguments": {"city": "Rome"}}],
}
GOLD = json.dumps(ROW["answers"])


def published(row):
    return {name: json.dumps(value) if name in ("tools", "answers") else value for name, value in row.items()}


def test_a_published_row_becomes_the_tasks_own():
    assert row_shape.own_row(published(ROW)) == ROW
    assert row_shape.own_row({"id": 7, **published(ROW), "source": "xlam"}) == {"id": 7, **ROW}


def test_the_tasks_own_rows_stay_as_they_are():
    for row in islice(rows.load("train", {}), 200):
        assert row_shape.own_row(row) == row
        assert row_shape.own_row(published(row)) == row


def test_the_gold_calls_alone_are_enough_for_a_verdict():
    row = row_shape.own_row({"answers": GOLD})
    assert row == {"answers": ROW["answers"]}
    assert calls.verify(row, GOLD).is_passed


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({}, "the row has no 'answers', but none"),
        ({"anwsers": GOLD}, "the row has no 'answers', but 'anwsers'"),
        ({"answers": "[{"}, "'answers' is not JSON"),
        ({"answers": "{}"}, "'answers' must be a list"),
        ({"answers": 7}, "'answers' must be a list, or a list as JSON in a string, but is 7"),
        ({"answers": GOLD, "tools": "nothing"}, "'tools' is not JSON"),
        ({"answers": '[{"name": "f"}]'}, "answer 1 must have exactly 'name' and 'arguments'"),
    ],
)
def test_what_is_no_row_is_refused_saying_why(row, complaint):
    with pytest.raises(RowError) as caught:
        row_shape.own_row(row)
    assert complaint in str(caught.value)


def test_answers_to_rows_of_both_forms_are_judged_and_a_wrong_row_is_named_by_its_line():
    given = [(published(ROW), GOLD), (ROW, GOLD), (published(ROW), ""), ({"answers": "no"}, "")]
    lines = [{"row": row, "answer": answer} for row, answer in given]
    written = []
    with Judge(load_task("apigen"), 1, settings=VerifySettings(isolation="none")) as judge:
        source = io.BytesIO("".join(json.dumps(line) + "\n" for line in lines).encode())
        with pytest.raises(DataError, match=r"^answers\.jsonl:4: 'answers' is not JSON"):
            judge_file(source, "answers.jsonl", judge, written.append, judge)
    verdicts = [json.loads(line)["verdict"] for line in "".join(written).splitlines()]
    assert verdicts == ["passed", "passed", "failed"]
