"""Rows of a hub's data set, through a library that stands for `datasets`."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_core.errors import DataError
from rrr_core.row_files import RowError, RowShape, load_table, rows_of_table
from rrr_core.row_files.hub import is_denied


def checked(record: Any) -> dict[str, Any]:
    if record["n"] < 0:
        raise RowError("'n' must not be negative")
    return {"n": record["n"]}


SHAPE = RowShape(columns=("n",), checked=checked)


class Table(list[dict[str, Any]]):
    @property
    def column_names(self) -> list[str]:
        return list(self[0])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has `datasets.load_dataset` give a table, or raise."""

    def offers(what: Any) -> list[Any]:
        asked: list[Any] = []

        def load_dataset(name: str, **options: Any) -> Any:
            asked.append((name, options))
            if isinstance(what, Exception):
                raise what
            return what

        monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
        return asked

    return offers


def load(name: str = "someone/rows", revision: str | None = None) -> Any:
    return load_table("trivia", name, revision, SHAPE, distribution="rrr-trivia")


def test_a_table_is_loaded_at_its_revision_and_gives_its_rows_with_their_places(hub: Any) -> None:
    asked = hub(Table({"n": number} for number in range(5)))
    table = load(revision="v2")
    assert asked == [("someone/rows", {"split": "train", "revision": "v2"})]
    assert list(rows_of_table(table, "someone/rows", SHAPE, 1, 2)) == [
        ("someone/rows, row 2", {"n": 1}),
        ("someone/rows, row 3", {"n": 2}),
    ]
    assert len(list(rows_of_table(table, "someone/rows", SHAPE))) == 5


def test_a_malformed_row_is_named(hub: Any) -> None:
    hub(Table([{"n": 1}, {"n": -1}]))
    with pytest.raises(DataError, match="someone/rows, row 2: 'n' must not be negative"):
        list(rows_of_table(load(), "someone/rows", SHAPE))


def test_a_table_of_other_columns_is_refused(hub: Any) -> None:
    hub(Table([{"m": 1}]))
    with pytest.raises(DataError, match="no column 'n'; found 'm', wanted 'n'"):
        load()


def test_the_library_that_is_missing_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'rrr-trivia\[hub\]'"):
        load()


def test_a_hub_that_cannot_be_reached_is_one_line(hub: Any) -> None:
    hub(ConnectionError("no route\nto host"))
    with pytest.raises(DataError) as error:
        load(revision="v2")
    assert "cannot load the data set 'someone/rows' at revision 'v2' (ConnectionError: no route)" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_gated_data_set_says_where_to_accept_its_licence(hub: Any) -> None:
    denied = ValueError("cannot read")
    denied.__cause__ = type("GatedRepoError", (Exception,), {})("403")
    hub(denied)
    with pytest.raises(DataError, match="it is gated. Accept its licence at https://huggingface.co/datasets/someone"):
        load()
    assert not is_denied(ValueError("404"))
