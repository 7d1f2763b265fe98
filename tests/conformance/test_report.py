"""The results of the checks for machines: JSON and JUnit's XML."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from rrr_core.conformance.report import as_json, as_junit
from rrr_core.conformance.results import Result, exit_code

PASSED = Result("check_a", "passed", note="3 rows", seconds=0.5, figures={"mutation_score": 0.9})
FAILED = Result("check_b", "failed", "rrr-x 1.0: found \x00\x1b[2J\ud800\ufffe<&\"'> 'é'.")
SKIPPED = Result("check_c", "skipped", "there is no hook rrr_gold_answer.")
UNJUDGED = Result("check_d", "cannot be judged", "rows.jsonl: no such file.")
FAULT = Result("check_e", "fault", "rrr-core itself failed.")


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([PASSED, SKIPPED], 0),
        ([PASSED, FAILED], 1),
        ([PASSED, UNJUDGED], 2),
        ([FAILED, UNJUDGED], 1),
        ([FAILED, UNJUDGED, FAULT], 3),
    ],
)
def test_the_exit_code_is_that_of_the_worst_state(results: list[Result], code: int) -> None:
    assert exit_code(results) == code


def test_the_json_object_has_every_check_and_the_score() -> None:
    written = json.loads(json.dumps(as_json("x", "rrr-x 1.0", ["noisy"], [PASSED, FAILED])))
    assert written["exit_code"] == 1
    assert written["counts"] == {"passed": 1, "failed": 1, "skipped": 0, "cannot be judged": 0, "fault": 0}
    assert written["mutation_score"] == 0.9
    assert [each["name"] for each in written["checks"]] == ["check_a", "check_b"]


def test_the_xml_is_well_formed_whatever_a_plugin_wrote() -> None:
    (suite,) = ElementTree.fromstring(as_junit("x", [PASSED, FAILED, SKIPPED, UNJUDGED, FAULT]))
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped", "errors")} == {
        "tests": "5",
        "failures": "1",
        "skipped": "1",
        "errors": "2",
    }
    failure = suite[1][0]
    assert (failure.tag, failure.get("message")) == ("failure", "rrr-x 1.0: found ��[2J��<&\"'> 'é'.")
    assert [case[0].tag for case in suite if len(case)] == ["failure", "skipped", "error", "error"]
