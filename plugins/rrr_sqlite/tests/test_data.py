"""Rows from files, and what is wrong with those that are refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from rrr_sqlite.examples import HEAVY, RANKED
from rrr_sqlite.row_check import own_row
from rrr_sqlite.rows import load

from rrr_core.errors import DataError
from rrr_core.row_files import RowError


def changed(path: str, value: Any) -> dict[str, Any]:
    """The row of the examples with another value at a place such as `tables.0.name`."""
    row: Any = copy.deepcopy(RANKED)
    *inner, last = (int(part) if part.isdigit() else part for part in path.split("."))
    place = row
    for part in inner:
        place = place[part]
    place[last] = value
    return row  # type: ignore[no-any-return]


def test_a_file_is_split_by_its_tables_names_and_a_folder_by_its_files(tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        row = copy.deepcopy(HEAVY)
        row["tables"][0]["name"] = f"orders_{number}"
        row["gold"] = f"SELECT count(*) FROM orders_{number}"
        rows.append(row)
    text = "".join(json.dumps(row | {"id": 1}) + "\n" for row in rows)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "train.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "both" / "test.jsonl").write_text(text, encoding="utf-8")
    train, test = (list(load(split, {"source": str(tmp_path / "rows.jsonl")})) for split in ("train", "test"))
    assert len(train) > len(test) > 0
    assert sorted(map(json.dumps, train + test)) == sorted(map(json.dumps, rows))
    assert list(load("test", {"source": str(tmp_path / "both")})) == rows


def test_a_malformed_row_stops_the_command_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(changed("tables.0.name", "a b")) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="rows.jsonl.*1.*a table's name must be letters"):
        list(load("train", {"source": str(tmp_path / "rows.jsonl")}))


def test_a_row_of_the_tasks_own_is_given_back_as_it_is() -> None:
    assert own_row(RANKED) is RANKED
    assert own_row(RANKED | {"id": 7}) == RANKED


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("question", "", "'question' must be a text"),
        ("gold", None, "'gold' must be a text"),
        ("order_keys", 3, "'order_keys' must be a text"),
        ("tables", [], "'tables' must be a list of 1"),
        ("tables.0", {"name": "x"}, "a table must have name, columns and rows"),
        ("tables.0.name", "sqlite_master", "a table's name"),
        ("tables.0.name", "SHOP_BUYERS", "a name twice"),
        ("tables.0.columns", {}, "the columns of shop_orders"),
        ("tables.0.columns.id", "INTEGER); DROP TABLE x; --", "a column of shop_orders"),
        ("tables.0.columns.ID", "TEXT", "a column twice"),
        ("tables.0.rows", "none", "the rows of shop_orders"),
        ("tables.0.rows.0", [1, 2, 3], "a row of shop_orders must have 4"),
        ("tables.0.rows.0.1", True, "a row of shop_orders"),
        ("tables.0.rows.0.1", 2**63, "a row of shop_orders"),
        ("tables.0.rows.0.1", float("nan"), "a row of shop_orders"),
        ("tables.0.rows.0.1", [1], "a row of shop_orders"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(path: str, value: Any, message: str) -> None:
    with pytest.raises(RowError, match=message):
        own_row(changed(path, value))


def test_a_row_without_a_column_is_refused() -> None:
    with pytest.raises(RowError, match="no 'gold'"):
        own_row({"question": "?", "tables": []})
