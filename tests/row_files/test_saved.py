"""Rows of folders that `datasets.save_to_disk` wrote, and what a table must not do to an object's keys."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from rrr_core.errors import DataError
from rrr_core.row_files import FILE, FOLDER, DataOptions, Record, RowShape, load_table, read_rows

datasets = pytest.importorskip("datasets", reason="save_to_disk is of datasets")
datasets.disable_progress_bars()

ROWS = [{"word": word, "length": len(word)} for word in ("one", "three", "seven", "four")]
SHAPE = RowShape(("word", "length"), dict)


def rows_of(path: Path, split: str = "", shape: RowShape = SHAPE) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(path, shape, split)]


def refused(path: Path, split: str = "", shape: RowShape = SHAPE) -> str:
    with pytest.raises(DataError) as caught:
        rows_of(path, split, shape)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    table = {"train": datasets.Dataset.from_list(ROWS[:3]), "test": datasets.Dataset.from_list(ROWS[3:])}
    datasets.DatasetDict(table).save_to_disk(tmp_path / "saved", num_shards={"train": 2, "test": 1})
    return tmp_path / "saved"


@pytest.fixture
def one(tmp_path: Path) -> Path:
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "one")
    return tmp_path / "one"


def test_a_saved_dict_of_data_sets_has_its_own_splits(splits: Path) -> None:
    assert rows_of(splits, "train") == ROWS[:3]
    assert rows_of(splits, "test") == ROWS[3:]
    assert DataOptions("t", {"source": str(splits)}, {"source": (FOLDER,)}).kind == FOLDER


def test_a_saved_data_set_is_read_whole_like_a_file_since_it_has_no_splits(one: Path) -> None:
    assert rows_of(one) == rows_of(one, "train") == ROWS
    assert DataOptions("t", {"source": str(one)}, {"source": (FILE,)}).kind == FILE


def test_each_saved_row_comes_with_its_place(one: Path) -> None:
    assert [place for place, _ in read_rows(one, SHAPE)][2] == f"{one}, row 3"


def test_a_selection_and_a_format_are_as_they_were_saved_but_rows_are_plain(tmp_path: Path) -> None:
    chosen = datasets.Dataset.from_list(ROWS).select([2, 0]).with_format("numpy")
    chosen.save_to_disk(tmp_path / "chosen")
    assert json.dumps(rows_of(tmp_path / "chosen")) == json.dumps([ROWS[2], ROWS[0]])


def test_a_split_that_was_not_saved_is_refused_with_those_that_were(splits: Path) -> None:
    assert refused(splits, "tests") == f"{splits}: no split 'tests': it has 'train', 'test'. Did you mean 'test'?"


def test_a_column_that_is_missing_is_named_with_those_there(one: Path) -> None:
    assert "no column 'words'; found 'word', 'length'" in refused(one, shape=RowShape(("words",), dict))


def test_a_damaged_folder_is_refused_in_one_line(one: Path, splits: Path) -> None:
    next(one.glob("*.arrow")).write_bytes(b"cut")
    assert f"{one}: cannot be loaded as a folder of datasets.save_to_disk" in refused(one)
    (splits / "dataset_dict.json").write_text("[]")
    assert "does not list the splits: save the data set again." in refused(splits, "train")
    (splits / "dataset_dict.json").write_text('{"splits": ["train"]}')
    shutil.rmtree(splits / "train")
    assert "cannot be loaded" in refused(splits, "train")


def test_without_the_library_one_line_says_what_to_install(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "needs the package 'datasets': pip install datasets (the extra rrr-core[train] has it)" in refused(one)


# Objects with keys of their own


def decoded(record: Record) -> dict[str, Any]:
    calls = record["calls"]
    return {"calls": json.loads(calls) if isinstance(calls, str) else calls}


CALLS = [{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {"b": 2.0}}]
OWN = RowShape(("calls",), decoded, own_keys=("calls.arguments",))


def test_columns_made_of_keys_are_refused_saying_how_to_save_them(tmp_path: Path) -> None:
    datasets.Dataset.from_list([{"calls": CALLS}]).save_to_disk(tmp_path / "lost")
    assert refused(tmp_path / "lost", shape=OWN) == (
        f"{tmp_path}/lost: 'calls.arguments' must keep its own keys, and this table has a column for each, such as "
        "'a', which gives every row the keys of all others. Save 'calls' as JSON in a string, or the rows as JSON "
        "lines."
    )
    datasets.Dataset.from_list([{"calls": CALLS}]).to_parquet(tmp_path / "lost.parquet")
    assert "'calls.arguments' must keep its own keys" in refused(tmp_path / "lost.parquet", shape=OWN)


def test_json_in_a_string_keeps_the_keys(tmp_path: Path) -> None:
    datasets.Dataset.from_list([{"calls": json.dumps(CALLS)}]).save_to_disk(tmp_path / "text")
    assert rows_of(tmp_path / "text", shape=OWN) == [{"calls": CALLS}]


@pytest.mark.parametrize("nested", [False, True])
def test_the_librarys_own_json_type_keeps_the_keys(tmp_path: Path, nested: bool) -> None:
    kind = datasets.Json()
    kind = datasets.List({"name": datasets.Value("string"), "arguments": kind}) if nested else kind
    table = datasets.Dataset.from_list([{"calls": CALLS}], features=datasets.Features({"calls": kind}))
    table.save_to_disk(tmp_path / "json")
    assert rows_of(tmp_path / "json", shape=OWN) == [{"calls": CALLS}]


def test_json_lines_that_the_library_reads_itself_keep_the_keys(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "local").mkdir()
    lines = [{"calls": CALLS[:1]}, {"calls": CALLS[1:]}]
    (tmp_path / "local" / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    table = load_table("t", str(tmp_path / "local"), None, OWN, distribution="rrr-t")
    assert [table[place] for place in range(2)] == lines
