"""What an action leads to, and that nothing it says does harm."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from rrr_sqlite.actions import HELP, LONGEST, MOST_TEXT, parsed, step
from rrr_sqlite.database import tables_of
from rrr_sqlite.examples import EXAMPLES, HEAVY, PAID
from rrr_sqlite.variants import variants

GOLD = HEAVY["gold"]


def looked(action: str, row: dict[str, Any] = HEAVY) -> str:
    """What the model reads after an action that does not end the course."""
    led = step(row, action)
    assert led.answer is None
    return led.observation


@pytest.mark.parametrize(
    ("text", "kind", "sql"),
    [
        ("schema", "schema", ""),
        ("Schema:", "schema", ""),
        ("I look first.\nschema\n", "schema", ""),
        ("sql: SELECT 1", "sql", "SELECT 1"),
        ("SQL: select 1;", "sql", "select 1;"),
        ("sql:\nSELECT 1\nFROM x", "sql", "SELECT 1\nFROM x"),
        ("sql:\n```sql\nSELECT 1\nFROM x\n```\nDone.", "sql", "SELECT 1\nFROM x"),
        ("sql: SELECT 1\n\nThen I will answer.", "sql", "SELECT 1"),
        ("**answer:** SELECT 1", "answer", "SELECT 1"),
        ("answer: `SELECT 1`", "answer", "SELECT 1"),
        ("sql: SELECT 1\nanswer: SELECT 2", "answer", "SELECT 2"),
        ("answer: SELECT 1\nschema", "schema", ""),
        ("answer:", "answer", ""),
        ("the answer: SELECT 1", "", ""),
        ("answer SELECT 1", "", ""),
        ("schemas", "", ""),
        ("SELECT 1", "", ""),
        ("", "", ""),
        ("sql: " + "x" * LONGEST, "", ""),
    ],
)
def test_the_last_line_that_begins_with_a_kind_is_the_action(text: str, kind: str, sql: str) -> None:
    assert parsed(text) == (kind, sql)


def test_a_look_shows_the_tables_with_their_columns() -> None:
    assert looked("schema") == "shop_orders(id,buyer_no,net_weight_g,paid)\nshop_buyers(buyer_no,name)"


def test_a_query_shows_its_first_rows_and_how_many_more_there_are() -> None:
    assert looked(f"sql: {GOLD}") == "3"
    assert looked("sql: SELECT id, paid FROM shop_orders") == "1|1.5\n2|NULL\n3|2.0\n4|0.5\n5|2.0\nand 1 more"
    assert looked("sql: SELECT id FROM shop_orders WHERE 0") == "no rows"
    assert looked("sql: SELECT 'a\nb', x'ff'") == "a b|x'ff'"


def test_the_description_of_a_table_can_be_read_in_sqlites_own_ways() -> None:
    assert "2|net_weight_g|INTEGER" in looked("sql: PRAGMA table_info('shop_orders')")
    assert '"net_weight_g" INTEGER' in looked("sql: SELECT sql FROM sqlite_master")


def test_a_mistake_is_read_in_sqlites_words_and_ends_nothing() -> None:
    assert looked("sql: SELECT weight FROM shop_orders") == "Error: no such column: weight"
    assert looked("sql: DROP TABLE shop_orders") == "Error: only SELECT is"
    assert looked("sql: SELECT random()") == "Error: not authorized to use function: random"
    assert looked("I think it is three.") == HELP
    assert looked("sql:") == HELP


def test_an_answer_ends_the_course_with_its_query_even_without_one() -> None:
    assert step(HEAVY, f"Now I know.\nanswer: {GOLD}").answer == GOLD
    assert step(HEAVY, "answer:").answer == "-"
    assert step(HEAVY, "answer: SELECT '\ud800'").answer == "SELECT '?'"


def test_an_observation_is_never_blank() -> None:
    assert looked("sql: SELECT ''") == looked("sql: SELECT ' \n '") == "''"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.reason[:40])
def test_whatever_is_asked_a_look_is_short_quick_the_same_each_time_and_changes_nothing(example: Any) -> None:
    row = copy.deepcopy(example.row)
    began = time.process_time()
    first = looked(f"sql: {example.answer}", row)
    assert time.process_time() - began < 2
    assert 0 < len(first) <= MOST_TEXT
    assert looked(f"sql: {example.answer}", row) == first
    assert row == example.row


def test_variants_keep_tables_columns_and_keys_and_depend_on_the_row_alone() -> None:
    tables = tables_of(PAID)
    made = list(variants(tables, HEAVY["gold"]))
    assert made == list(variants(tables, HEAVY["gold"]))
    for others in made:
        assert [(each.name, each.columns) for each in others] == [(each.name, each.columns) for each in tables]
        orders, buyers = others
        assert sorted(row[0] for row in orders.rows) == [1, 2, 3, 4, 5, 6]
        assert {row[0] for row in buyers.rows} == {12, 15, 18}
        assert {2999, 3000, 3001} <= {row[2] for row in orders.rows}
    assert len({str(others[0].rows) for others in made}) == len(made)


def test_no_null_comes_into_a_column_that_has_none() -> None:
    for orders, _ in variants(tables_of(PAID), HEAVY["gold"]):
        assert [row[3] for row in orders.rows].count(None) <= 1
        assert all(value is not None for row in orders.rows for value in row[:3])


def test_a_query_of_few_but_slow_instructions_is_too_costly_and_holds_nobody_up() -> None:
    text = "replace(replace(replace('aaaa', 'a', 'aaaaaaaa'), 'a', 'aaaaaaaa'), 'a', 'aaaaaaaaaa')"
    many = f"replace(substr({text}, 1, 300), 'a', 'b') || a.id || 'a'"
    orders = ", ".join(f"shop_orders {name}" for name in "abcde")
    slow = f"SELECT sum(length(trim({text}, {many}))) FROM {orders}"
    started = time.thread_time()
    assert looked(f"sql: {slow}") == "Error: too many steps"
    assert time.thread_time() - started < 4
