"""Data options: what a task knows is read, and all else is refused in one line that says what to give."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rrr_core.errors import DataError
from rrr_core.row_files import (
    FILE,
    FOLDER,
    GENERATED,
    HUB,
    KINDS,
    DataOptions,
    Record,
    RowShape,
    require_known,
)

KNOWN = {"source": KINDS, "seed": (GENERATED,), "dataset": (HUB,), "share": (HUB, FILE), "bad": (HUB, FILE, FOLDER)}


def options(**given: str) -> DataOptions:
    return DataOptions("trivia", given, KNOWN)


def refused(call: Callable[[], object]) -> str:
    """The one line of the DataError that a call raises."""
    with pytest.raises(DataError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_an_unknown_option_is_refused_with_the_nearest_and_with_all() -> None:
    message = refused(lambda: options(sed="3"))
    assert message == (
        "trivia has no data option 'sed'. Did you mean 'seed'? It has source, seed, dataset, share, bad."
    )
    assert refused(lambda: require_known("trivia", {"sed": "3"}, ["seed"])).endswith("'seed'? It has seed.")
    require_known("trivia", {"seed": "3"}, ["seed"])


def test_a_source_is_generated_the_hub_a_file_or_a_folder(tmp_path: Path) -> None:
    assert options().kind == GENERATED
    assert [options(source=source).kind for source in ("generated", "hub")] == [GENERATED, HUB]
    assert options(source=str(tmp_path)).kind == FOLDER
    assert [options(source=source).kind for source in (str(tmp_path / "rows.csv"), "a\0b")] == [FILE, FILE]


def test_a_task_may_have_another_source_where_the_user_names_none(tmp_path: Path) -> None:
    chosen = DataOptions("trivia", {}, {"source": (FOLDER,)}, default_source=str(tmp_path))
    assert (chosen.source, chosen.kind) == (str(tmp_path), FOLDER)
    chosen.check("train")


def test_a_source_that_the_task_does_not_have_is_refused() -> None:
    chosen = DataOptions("trivia", {"source": "generated"}, {"source": (HUB, FILE)}, default_source=HUB)
    assert refused(lambda: chosen.check("train")) == "trivia takes no rows from source=generated. Give hub or a file."
    near = DataOptions("trivia", {"source": "hubb"}, {"source": (HUB, FOLDER)}, default_source=HUB)
    assert "source=hubb. Did you mean 'hub'? Give hub or a folder." in refused(lambda: near.check("train"))


def test_a_split_that_the_source_does_not_have_is_refused_with_the_nearest() -> None:
    splits = {GENERATED: ("train", "test", "warmup")}
    options().check("warmup", splits)
    assert refused(lambda: options().check("tests", splits)) == (
        "trivia's source=generated has no split 'tests'. Did you mean 'test'? It has train, test, warmup."
    )
    assert "source=hub has no split 'warmup'" in refused(lambda: options(source="hub").check("warmup", splits))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"dataset": "x"}, "'dataset' belongs to source=hub, not to source=generated."),
        ({"share": "5"}, "'share' belongs to source=hub or a file, not to source=generated."),
        ({"bad": "keep"}, "'bad' belongs to source=hub, a file or a folder, not to source=generated."),
        ({"source": "hub", "seed": "1"}, "'seed' belongs to source=generated, not to source=hub."),
        ({"source": "rows.csv", "seed": "1"}, "'seed' belongs to source=generated, not to source=rows.csv."),
    ],
)
def test_an_option_of_another_kind_of_source_is_refused(given: dict[str, str], complaint: str) -> None:
    assert refused(lambda: options(**given).check("train")) == f"trivia's data option {complaint}"


def test_a_whole_number_is_read_and_has_a_default() -> None:
    assert options(seed="12").whole("seed", 3) == 12
    assert options().whole("seed", 3) == 3
    assert options(seed="9").whole("seed", 3, (0, 9)) == 9


@pytest.mark.parametrize(
    "text", ["-1", "1e3", "0.5", "three", "³", "", " 1", "1_000", "١", "1" * 19, "9" * 5_000], ids=lambda t: t[:9]
)
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    message = refused(lambda: options(seed=text).whole("seed", 3))
    assert message == f"trivia's data option seed={text[:80]!r} must be a whole number."


@pytest.mark.parametrize("text", ["0", "10"])
def test_a_whole_number_out_of_bounds_is_refused_with_them(text: str) -> None:
    message = refused(lambda: options(seed=text).whole("seed", 3, (1, 9)))
    assert message == f"trivia's data option seed={text} must be between 1 and 9."


def test_a_choice_is_one_of_its_words_and_the_first_by_default() -> None:
    words = ("drop", "list", "keep")
    assert options().choice("bad", words) == "drop"
    assert options(bad="keep").choice("bad", words) == "keep"
    assert refused(lambda: options(bad="lst").choice("bad", words)) == (
        "trivia's data option bad='lst' must be drop, list or keep. Did you mean 'list'?"
    )


def as_it_comes(record: Record) -> dict[str, int]:
    return {"number": record["number"]}


SHAPE = RowShape(("number",), as_it_comes)


def test_a_path_gives_the_rows_of_its_file_or_of_one_split_in_its_folder(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "test")):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps({"number": number}))
    folder, file = options(source=str(tmp_path)), options(source=str(tmp_path / "train.jsonl"))
    assert [row for _, row in folder.rows_of_path(SHAPE, "test")] == [{"number": 1}]
    assert [row for _, row in file.rows_of_path(SHAPE)] == [{"number": 0}]


def test_an_unknown_source_is_refused_with_the_nearest() -> None:
    assert refused(lambda: options(source="genrated").rows_of_path(SHAPE)) == (
        "trivia's data option source='genrated' is not an existing file or folder. Did you mean 'generated'? "
        "Give 'generated', 'hub' or a path to a .jsonl, .json, .csv or .parquet file."
    )
    of_files = DataOptions("trivia", {"source": "genrated"}, {"source": (FILE, FOLDER)}, default_source="rows")
    assert refused(lambda: of_files.rows_of_path(SHAPE)).endswith(
        "folder. Give a path to a .jsonl, .json, .csv or .parquet file."
    )


@pytest.mark.parametrize("name", ["a\0.jsonl", "a\0", "a" * 5_000, "a" * 5_000 + ".jsonl", "", "\ud800.csv"], ids=ascii)
def test_an_impossible_file_name_is_refused_in_one_line(name: str) -> None:
    chosen = options(source=name)
    chosen.check("train")
    assert refused(lambda: chosen.rows_of_path(SHAPE))
