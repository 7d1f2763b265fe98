"""Data options: read with checks, and refused in one line that names task and option."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rrr_core.errors import DataError
from rrr_core.row_files import FILE, FOLDER, GENERATED, HUB, KINDS, DataOptions, RowShape

OPTIONS = {"source": KINDS, "seed": (GENERATED,), "order": (HUB, FILE), "revision": (HUB,)}
SHAPE = RowShape(columns=("n",), checked=dict)


def chosen(**given: str) -> DataOptions:
    return DataOptions("trivia", given, OPTIONS)


def failing(call: Any, *arguments: Any) -> str:
    with pytest.raises(DataError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_unknown_option_is_refused_with_the_nearest_and_all_that_there_are() -> None:
    assert failing(lambda: chosen(sede="1")) == (
        "trivia has no data option 'sede'. Did you mean 'seed'? It has source, seed, order, revision."
    )


def test_a_source_is_generated_a_hub_a_file_or_a_folder(tmp_path: Path) -> None:
    sources = ["generated", "hub", str(tmp_path), str(tmp_path / "rows.json"), "a\0b"]
    assert [chosen(source=source).kind for source in sources] == [GENERATED, HUB, FOLDER, FILE, FILE]
    assert chosen().kind == GENERATED


def test_a_split_that_the_kind_of_source_has_not_is_refused() -> None:
    splits = {GENERATED: ("train", "test", "warmup")}
    chosen().check_split("warmup", splits)
    assert "source=hub has no split 'warmup'. It has train, test." in failing(
        chosen(source="hub").check_split, "warmup", splits
    )


def test_an_option_of_another_kind_of_source_is_refused() -> None:
    error = failing(chosen(order="x").check_split, "train", {})
    assert error == "trivia's data option 'order' belongs to source=hub or a file, not to source=generated."


@pytest.mark.parametrize("text", ["x", "-1", "1.0", "", "1" * 19, "١"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    assert "must be a whole number" in failing(chosen(seed=text).whole, "seed", 0)


def test_a_whole_number_has_a_default_and_bounds() -> None:
    assert chosen().whole("seed", 7) == 7
    assert chosen(seed="9").whole("seed", 7, (1, 9)) == 9
    assert "seed=10 must be between 1 and 9" in failing(chosen(seed="10").whole, "seed", 7, (1, 9))


def test_a_choice_is_one_of_those_named_the_first_by_default() -> None:
    assert chosen().choice("order", ("forwards", "backwards")) == "forwards"
    assert chosen(order="backwards").choice("order", ("forwards", "backwards")) == "backwards"
    error = failing(chosen(order="backward").choice, "order", ("forwards", "backwards"))
    assert error == "trivia's data option order='backward' must be forwards or backwards. Did you mean 'backwards'?"


def test_a_path_gives_the_rows_of_a_file_or_of_a_folders_split(tmp_path: Path) -> None:
    for name, n in (("train", 1), ("test", 2)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"n": n}))
    assert [row for _, row in chosen(source=str(tmp_path)).rows_of_path(SHAPE, "test")] == [{"n": 2}]
    assert [row for _, row in chosen(source=str(tmp_path / "train.jsonl")).rows_of_path(SHAPE)] == [{"n": 1}]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("genrated", "is not an existing file or folder. Did you mean 'generated'?"),
        ("a\0b.json", "cannot be read"),
        ("x" * 5000 + ".json", "cannot be read"),
    ],
)
def test_a_path_that_cannot_be_read_is_refused_in_a_short_line(source: str, words: str) -> None:
    error = failing(chosen(source=source).rows_of_path, SHAPE)
    assert words in error
    assert len(error) < 400
