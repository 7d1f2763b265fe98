"""The table in VERDICT.md is true, line by line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from rrr_sqlite import database, examples
from rrr_sqlite.judging import CATEGORIES, BadRow, verify
from rrr_sqlite.variants import VARIANTS

PAGE = (Path(__file__).parents[1] / "VERDICT.md").read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    """The cells of a line of a Markdown table."""
    return [cell.strip(" ").replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def table(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [cells(line) for line in section.splitlines() if line.startswith("|")][2:]


ROWS = {name: examples.row("…", gold.strip("`"), keys.strip("`")) for name, gold, keys in table("Rows of the table")}
CASES = [
    pytest.param(ROWS[row], sql.strip("`"), verdict, id=f"{rule}: {because}")
    for rule, row, sql, verdict, because in table("The table")
]


@pytest.mark.parametrize(("row", "sql", "expected"), CASES)
def test_a_line_of_the_table_is_true(row: dict[str, Any], sql: str, expected: str) -> None:
    verdict = verify(row, sql)
    assert (verdict.outcome, verdict.category) == (("passed", "") if expected == "passed" else ("failed", expected))


def test_the_table_shows_every_verdict() -> None:
    assert {case.values[2] for case in CASES} == {"passed", *CATEGORIES}


def test_the_table_has_a_pass_and_a_failure_for_every_rule() -> None:
    verdicts = {(line[0], line[3] == "passed") for line in table("The table")}
    for is_passed in (True, False):
        assert {rule for rule, passed in verdicts if passed is is_passed} >= set("123456789")


def test_the_classes_are_named_in_the_manifest() -> None:
    head = PAGE.partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z ]+)` \|", head, re.MULTILINE)) == set(CATEGORIES)


def test_the_limits_are_those_of_the_code() -> None:
    assert f"{database.MOST_STEPS:,} instructions" in PAGE
    assert f"{database.MOST_ROWS:,} rows" in PAGE
    assert VARIANTS == 6
    assert "on six other databases" in PAGE


@pytest.mark.parametrize("gold", ["SELECT", "SELECT nothing FROM shop_orders", "DELETE FROM shop_orders"])
def test_a_row_whose_own_query_fails_is_a_fault_not_a_verdict(gold: str) -> None:
    with pytest.raises(BadRow):
        verify(examples.row("…", gold), "SELECT 1")


def test_a_row_with_too_few_order_keys_is_a_fault_not_a_verdict() -> None:
    with pytest.raises(BadRow, match="1 rows"):
        verify(examples.row("…", "SELECT id FROM shop_orders", "SELECT 1"), "SELECT 1")
