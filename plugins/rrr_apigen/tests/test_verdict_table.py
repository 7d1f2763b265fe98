"""The table in VERDICT.md is true, line by line."""

import json
import re
from pathlib import Path

import pytest
from rrr_apigen.calls import CATEGORIES, verify
from rrr_apigen.strict_json import DEEPEST
from rrr_apigen.wrappings import LONGEST, MARKERS

PAGE = (Path(__file__).parents[1] / "VERDICT.md").read_text(encoding="utf-8")
SYMBOLS = {"⏎": "\n", "⇥": "\t"}


def cells(line):
    """The cells of a line of a Markdown table."""
    return [cell.strip(" ").replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def code(cell):
    """The content of a code span: in Markdown, one space inside its backticks is not part of it."""
    ticks, text = re.fullmatch(r"(`+)(.*)\1", cell).groups()
    text = text[1:-1] if len(ticks) > 1 else text
    return "".join(SYMBOLS.get(letter, letter) for letter in text)


def table(heading):
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [cells(line) for line in section.splitlines() if line.startswith("|")][2:]


ROWS = {name: json.loads(code(calls)) for name, calls in table("Rows of the table")}
CASES = [
    pytest.param(ROWS[row], code(answer), verdict, id=f"{rule}: {because}")
    for rule, row, answer, verdict, because in table("The table")
]


@pytest.mark.parametrize(("gold", "answer", "expected"), CASES)
def test_a_line_of_the_table_is_true(gold, answer, expected):
    verdict = verify({"query": "…", "tools": [], "answers": gold}, answer)
    assert (verdict.outcome, verdict.category) == (("passed", "") if expected == "passed" else ("failed", expected))


def test_the_table_shows_every_verdict_and_every_marker():
    assert {case.values[2] for case in CASES} == {"passed", *CATEGORIES}
    answers = "".join(case.values[1] for case in CASES)
    assert [mark for mark in MARKERS if mark not in answers] == []


def test_the_table_has_a_pass_and_a_failure_for_every_rule_but_those_of_failures_alone():
    verdicts = {(line[0], line[3] == "passed") for line in table("The table")}
    assert {rule for rule, is_passed in verdicts if is_passed} == set("125678")
    assert {rule for rule, is_passed in verdicts if not is_passed} == set("12345678")


def test_the_classes_are_in_order_of_precedence():
    head = PAGE.partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z ]+)` \|", head, re.MULTILINE) == list(CATEGORIES)


def test_the_limits_are_those_of_the_code():
    assert f"{LONGEST:,} characters" in PAGE
    assert f"{DEEPEST} arrays and objects" in PAGE


def calls_of_length(length):
    """A row's calls, and an answer of that many characters that matches them."""
    calls = [{"name": "say", "arguments": {"text": ""}}]
    calls[0]["arguments"]["text"] = "x" * (length - len(json.dumps(calls)))
    return calls, json.dumps(calls)


@pytest.mark.parametrize(("length", "category"), [(LONGEST, ""), (LONGEST + 1, "format")])
def test_the_longest_answer_is_as_long_as_the_page_says(length, category):
    calls, answer = calls_of_length(length)
    assert len(answer) == length
    assert verify({"answers": calls}, answer).category == category
    assert verify({"answers": calls}, f"<think>{'x' * length}</think>\n{answer}\n").category == category


@pytest.mark.parametrize(("depth", "category"), [(DEEPEST, ""), (DEEPEST + 1, "format")])
def test_the_deepest_answer_is_as_deep_as_the_page_says(depth, category):
    inner = depth - 3
    calls = [{"name": "f", "arguments": {"x": json.loads("[" * inner + "]" * inner)}}]
    gold = calls if depth <= DEEPEST else []
    assert verify({"answers": gold}, json.dumps(calls)).category == category
    assert verify({"answers": gold}, f"Look:\n```\n{json.dumps(calls)}\n```").category == category


def test_brackets_inside_strings_add_no_depth():
    calls = [{"name": "say", "arguments": {"text": '[{"\\' * 1_000}}]
    assert verify({"answers": calls}, json.dumps(calls)).is_passed


@pytest.mark.parametrize(
    "answers",
    [
        None,
        "[]",
        {"name": "f", "arguments": {}},
        [None],
        ["f"],
        [{}],
        [{"name": "f"}],
        [{"name": "f", "arguments": None}],
        [{"name": "f", "arguments": "{}"}],
        [{"name": 1, "arguments": {}}],
        [{"name": "f", "arguments": {}, "id": 1}],
        [{"name": "f", "arguments": {"x": float("nan")}}],
        [{"name": "f", "arguments": {"x": float("-inf")}}],
        [{"name": "f", "arguments": {"x": (1, 2)}}],
        [{"name": "f", "arguments": {"x": {1: 2}}}],
        [{"name": "f", "arguments": {1: 2}}],
        [{"name": "f", "arguments": {"x": json.loads("[" * 101 + "]" * 101)}}],
    ],
    ids=lambda answers: ascii(answers)[:60],
)
@pytest.mark.parametrize("answer", ["[]", "", '[{"name": "f", "arguments": {}}]'])
def test_a_malformed_row_is_a_fault_not_a_verdict(answers, answer):
    with pytest.raises((TypeError, ValueError)):
        verify({"answers": answers}, answer)
