"""Rows of a data set on a hub: what is asked of `datasets`, and what a user learns where it fails."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from rrr_core.errors import DataError
from rrr_core.row_files import Record, RowError, RowShape, load_table, rows_of_table

INSTEAD = "use source=generated"


def checked(record: Record) -> dict[str, Any]:
    if not record["answer"]:
        raise RowError("its answer is blank")
    return dict(record)


def from_table(record: Record) -> Record:
    return {**record, "answer": record["answer"].strip()}


SHAPE = RowShape(("question", "answer"), checked, from_table=from_table)
ROWS = [{"question": str(number), "answer": f"{number} "} for number in range(5)]


class Table:
    """What is asked of a table of `datasets`."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.column_names = list(rows[0])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]


class Library(types.ModuleType):
    """A library `datasets` that keeps what it was asked for, and gives one table or raises an error."""

    def __init__(self, answer: Table | Exception) -> None:
        super().__init__("datasets")
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    def load_dataset(self, path: str, name: str | None = None, *, split: str, revision: str | None) -> Table:
        self.asked.append((path, name, split, revision))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def installed(monkeypatch: pytest.MonkeyPatch, answer: Table | Exception) -> Library:
    library = Library(answer)
    monkeypatch.setitem(sys.modules, "datasets", library)
    return library


def refused(monkeypatch: pytest.MonkeyPatch, answer: Table | Exception, revision: str | None = None) -> str:
    """The one line of the DataError that loading raises."""
    installed(monkeypatch, answer)
    with pytest.raises(DataError) as caught:
        load_table("trivia", "someone/trivia", revision, SHAPE, distribution="rrr-trivia", instead=INSTEAD)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_name_split_revision_and_configuration_reach_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    library = installed(monkeypatch, Table(ROWS))
    load_table("trivia", "someone/trivia", None, SHAPE, distribution="rrr-trivia")
    load_table("trivia", "other/rows", "v2", SHAPE, distribution="rrr-trivia", split="test", configuration="main")
    assert library.asked == [("someone/trivia", None, "train", None), ("other/rows", "main", "test", "v2")]


def test_rows_of_a_table_come_in_order_with_their_places_and_as_the_shape_adapts_them() -> None:
    placed = list(rows_of_table(Table(ROWS), "someone/trivia", SHAPE))
    assert [place for place, _ in placed] == [f"someone/trivia, row {number}" for number in range(1, 6)]
    assert [row["answer"] for _, row in placed] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("first", "count", "taken"), [(0, 2, ["0", "1"]), (3, 1, ["3"]), (3, None, ["3", "4"]), (3, 9, ["3", "4"])]
)
def test_a_part_of_a_table_may_be_taken(first: int, count: int | None, taken: list[str]) -> None:
    rows = rows_of_table(Table(ROWS), "someone/trivia", SHAPE, first, count)
    assert [row["question"] for _, row in rows] == taken


def test_a_malformed_row_is_named_by_its_number_and_those_before_it_are_given() -> None:
    rows = rows_of_table(Table([*ROWS[:2], {"question": "2", "answer": " "}]), "someone/trivia", SHAPE, first=1)
    assert next(rows)[1] == {"question": "1", "answer": "1"}
    with pytest.raises(DataError, match=r"^someone/trivia, row 3: its answer is blank\.$"):
        next(rows)


def test_a_table_that_lacks_a_column_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refused(monkeypatch, Table([{"question": "q", "answers": "a"}]))
    assert message.startswith("someone/trivia: no column 'answer'; found 'question', 'answers'")
    assert message.endswith("Did you mean 'answers'?")


class GatedRepoError(Exception):
    """Has the name that the hub's client gives it."""


class Response:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


class HttpError(OSError):
    """An error of an HTTP library, which holds the response."""

    def __init__(self, status: int) -> None:
        super().__init__("Client Error")
        self.response = Response(status)


def caused_by(cause: Exception) -> Exception:
    error = RuntimeError("could not load")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Dataset 'x' is a gated dataset on the Hub. You must be authenticated to access it."),
        GatedRepoError("403"),
        HttpError(401),
        HttpError(403),
        caused_by(GatedRepoError("no")),
        caused_by(HttpError(401)),
    ],
    ids=repr,
)
def test_the_error_for_a_gated_data_set_says_how_to_get_access(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    message = refused(monkeypatch, error)
    assert "trivia may not load the data set 'someone/trivia': it is gated" in message
    assert "https://huggingface.co/datasets/someone/trivia" in message
    assert "`hf auth login` or set HF_TOKEN" in message


def test_an_unreachable_hub_gives_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ConnectionError("Couldn't reach the aggregated hub\nand more\nlines")
    assert refused(monkeypatch, error, revision="v2") == (
        "trivia cannot load the data set 'someone/trivia' at revision 'v2' (ConnectionError: Couldn't reach the "
        "aggregated hub). Check the name and the network, or use source=generated."
    )
    assert "is gated" not in refused(monkeypatch, HttpError(500))


def test_without_the_library_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError) as caught:
        load_table("trivia", "someone/trivia", None, SHAPE, distribution="rrr-trivia")
    assert str(caught.value) == (
        "trivia needs the package 'datasets' for rows from the hub: pip install 'rrr-trivia[hub]'."
    )
