"""Rows from every kind of file, and how bad ones are reported."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from rrr_core import row_files
from rrr_core.errors import DataError
from rrr_core.row_files import READERS, Record, RowError, RowShape, bucket_of, excerpt, read_rows, row_at

ROWS: list[dict[str, Any]] = [{"word": word, "length": len(word)} for word in ("one", "three", "seven", "zwölf")]


def checked(record: Record) -> dict[str, Any]:
    if type(record["length"]) is not int:
        raise RowError(f"'length' must be a whole number, but is {excerpt(record['length'])}")
    return {name: record[name] for name in ("word", "length", "note") if name in record}


def from_csv(record: Record) -> Record:
    length = record["length"]
    return {**record, "length": int(length) if length.isdecimal() else length}


SHAPE = RowShape(("word", "length"), checked, optional=("note",), from_csv=from_csv)


def write_json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_json_array(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text(json.dumps(list(rows), indent=2), encoding="utf-8")


def write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def write_parquet(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(list(rows)), path)


WRITERS = {".jsonl": write_json_lines, ".json": write_json_array, ".csv": write_csv, ".parquet": write_parquet}


def rows_of(path: Path, split: str = "") -> list[dict[str, Any]]:
    return [row for _, row in read_rows(path, SHAPE, split)]


def complaint_about(path: Path, split: str = "train") -> str:
    """The one line of the DataError that reading raises."""
    with pytest.raises(DataError) as caught:
        rows_of(path, split)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_names_that_plugins_rely_on_are_offered() -> None:
    offered = set(row_files.__all__)
    assert offered >= {"READERS", "WANTED_SUFFIXES", "PlacedRow", "Record", "RowError", "RowShape", "as_it_is"}
    assert offered >= {"bucket_of", "excerpt", "names", "path_in_folder", "read_rows", "require_columns", "row_at"}
    assert offered >= {"read_csv", "read_json_array", "read_json_lines", "read_parquet"}
    assert all(hasattr(row_files, name) for name in offered)


def test_every_kind_of_file_is_tried_here() -> None:
    assert set(WRITERS) == set(READERS)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_of_any_kind_gives_its_rows_in_order_without_extra_columns(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    WRITERS[suffix](path, [{"more": "x", "note": "n", **row} for row in ROWS])
    assert rows_of(path) == [{**row, "note": "n"} for row in ROWS]


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_bad_row_is_blamed_on_its_place_and_those_before_it_are_given(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    WRITERS[suffix](path, [{"word": "one", "length": 3}, {"word": "no length", "length": None}])
    rows = read_rows(path, SHAPE)
    assert next(rows)[1] == {"word": "one", "length": 3}
    places = {".jsonl": "line 2", ".json": "line 6", ".csv": "line 3", ".parquet": "row 2"}
    said = "''" if suffix == ".csv" else "None"
    with pytest.raises(DataError) as caught:
        next(rows)
    assert str(caught.value) == f"{path}, {places[suffix]}: 'length' must be a whole number, but is {said}."


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_missing_column_is_reported_with_the_columns_found_and_the_nearest(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    WRITERS[suffix](path, [{"words": "one", "length": 3}])
    expected = "no column 'word'; found 'words', 'length', wanted 'word' and 'length'. Did you mean 'words'?"
    assert complaint_about(path).endswith(expected)


def test_each_row_comes_with_its_place(tmp_path: Path) -> None:
    write_json_lines(tmp_path / "rows.jsonl", ROWS)
    assert [place for place, _ in read_rows(tmp_path / "rows.jsonl", SHAPE)][2] == f"{tmp_path}/rows.jsonl, line 3"


def test_a_folder_holds_a_file_for_each_split(tmp_path: Path) -> None:
    write_json_lines(tmp_path / "train.jsonl", ROWS[:3])
    write_csv(tmp_path / "test.csv", ROWS[3:])
    (tmp_path / "README.md").write_text("rows")
    assert rows_of(tmp_path, "train") == ROWS[:3]
    assert rows_of(tmp_path, "test") == ROWS[3:]


def test_a_folder_without_a_file_for_the_split_is_refused_naming_what_it_has(tmp_path: Path) -> None:
    write_csv(tmp_path / "tests.csv", ROWS)
    assert complaint_about(tmp_path, "test") == (
        f"{tmp_path}: no file for the split 'test': wanted test.* of .jsonl, .json, .csv or .parquet, "
        "found 'tests.csv'."
    )


def test_two_files_for_one_split_are_refused(tmp_path: Path) -> None:
    write_json_lines(tmp_path / "train.jsonl", ROWS)
    write_csv(tmp_path / "train.csv", ROWS)
    assert "more than one file for the split 'train': train.csv, train.jsonl." in complaint_about(tmp_path)


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv"])
def test_a_packed_text_file_is_read_as_if_unpacked(tmp_path: Path, suffix: str) -> None:
    WRITERS[suffix](tmp_path / f"train{suffix}", ROWS)
    packed = tmp_path / f"packed{suffix}.gz"
    packed.write_bytes(gzip.compress((tmp_path / f"train{suffix}").read_bytes()))
    assert rows_of(packed) == ROWS
    packed.write_bytes(packed.read_bytes()[:-12])
    assert "cannot be read to its end" in complaint_about(packed)
    packed.write_bytes(b"no such thing")
    assert "get the file again." in complaint_about(packed)


def test_a_packed_file_in_a_folder_is_its_split(tmp_path: Path) -> None:
    write_json_lines(tmp_path / "rows.jsonl", ROWS)
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress((tmp_path / "rows.jsonl").read_bytes()))
    assert rows_of(tmp_path, "train") == ROWS


def write_parts(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for part in range(2):
        write_parquet(folder / f"train-0000{part}-of-00002.parquet", ROWS[2 * part : 2 * part + 2])
    write_parquet(folder / "test-00000-of-00001.parquet", ROWS[3:])


@pytest.mark.parametrize("inner", [".", "data"])
def test_a_split_in_parts_as_the_hub_has_them_is_read_in_their_order(tmp_path: Path, inner: str) -> None:
    write_parts(tmp_path / inner)
    assert rows_of(tmp_path, "train") == ROWS
    assert rows_of(tmp_path, "test") == ROWS[3:]


def test_a_split_with_a_part_missing_is_refused(tmp_path: Path) -> None:
    write_parts(tmp_path)
    (tmp_path / "train-00000-of-00002.parquet").unlink()
    assert "the split 'train' has 2 parts, and part 0 is missing: get the files again." in complaint_about(tmp_path)
    write_json_lines(tmp_path / "train.jsonl", ROWS)
    assert "more than one file for the split 'train'" in complaint_about(tmp_path)


@pytest.mark.parametrize(("separator", "name"), [(";", "';'"), ("\t", "tabs"), ("|", "'|'")])
def test_a_csv_with_another_separator_is_refused_with_what_separates_it(
    tmp_path: Path, separator: str, name: str
) -> None:
    (tmp_path / "rows.csv").write_text(f'word{separator}"length"{separator}note\nthree{separator}5{separator}\n')
    assert complaint_about(tmp_path / "rows.csv") == (
        f"{tmp_path}/rows.csv, line 1: no column 'word', for the fields are separated by {name}: save the file with "
        "commas between them."
    )


def test_a_csv_that_lacks_a_column_is_not_blamed_on_its_separator(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("word;size\nthree;5\n")
    assert "no column 'word'; found 'word;size'" in complaint_about(tmp_path / "rows.csv")


def test_a_file_that_cannot_be_used_is_refused_before_any_row_with_what_to_do(tmp_path: Path) -> None:
    write_json_lines(tmp_path / "rows.jsonl", ROWS)
    with pytest.raises(DataError, match=r"No such file or directory\. Did you mean 'rows\.jsonl'\?"):
        read_rows(tmp_path / "row.jsonl", SHAPE)
    with pytest.raises(DataError, match=r"must end in \.jsonl, \.json, \.csv or \.parquet\. Did you mean '\.jsonl'"):
        read_rows(tmp_path / "rows.jsnl", SHAPE)


def test_a_utf8_mark_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    line = json.dumps(ROWS[0])
    texts = {
        "a.jsonl": f"\ufeff{line}\n\n  \n",
        "b.json": f"\ufeff [{line}]\n",
        "c.csv": "\ufeffword,length\n\none,3\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert rows_of(tmp_path / name) == ROWS[:1], name


BAD_LINES = {
    "a list": ("[1, 2]", "a row must be a JSON object, but is [1, 2]"),
    "no JSON": ("nonsense", "not JSON (Expecting value"),
    "a cut line": ('{"word": "one"', "not JSON (Expecting ',' delimiter"),
    "100,000 brackets": ("[" * 100_000, "not JSON (nested too deeply)"),
    "a number of 5,000 digits": ('{"word": "x", "length": ' + "9" * 5_000 + "}", "not JSON (Exceeds the limit"),
    "NaN": ('{"word": NaN, "length": 1}', "not JSON (NaN is not a JSON number)"),
    "a number beyond floats": ('{"word": 1e999, "length": 1}', "the number 1e999 is too large for a float"),
    "a key twice": ('{"word": "a", "word": "b"}', "the key 'word' appears twice in one object"),
    "a huge number": ('{"word": "x", "length": "' + "9" * 4_000 + '"}', "but is '99999"),
}


@pytest.mark.parametrize(("line", "complaint"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_malformed_json_line_is_named_by_file_and_line(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{json.dumps(ROWS[0])}\n{line}\n")
    message = complaint_about(path)
    assert message.startswith(f"{path}, line 2: ")
    assert complaint in message
    assert len(message) < len(str(path)) + 300


ROW = json.dumps(ROWS[0])
BAD_ARRAYS = [
    (f"[\n{ROW},\n\n{{}}]", ", line 4: no column 'word'; found none"),
    (f"[{ROW}\n,\n7]", ", line 3: a row must be a JSON object, but is 7"),
    (f"[\n{ROW}\n{ROW}]", ", line 2: not JSON (wanted ',' or ']' after this row)"),
    (f"[\n{ROW}", ", line 2: not JSON (wanted ',' or ']' after this row)"),
    (f"[{ROW},\n]", ", line 2: not JSON (Expecting value"),
    (f'[{ROW},\n{{"word": NaN}}]', ", line 2: not JSON (NaN is not a JSON number)"),
    ("[", ", line 1: not JSON (Expecting value"),
    ("[\n" + "[" * 100_000, ", line 2: not JSON (nested too deeply)"),
    (f"[{ROW}] []", ": more text after the array of rows"),
    ('{"rows": []}', ": not one JSON array of rows. Name a file with one row per line .jsonl."),
    ("", ": not one JSON array of rows"),
]


@pytest.mark.parametrize(("text", "complaint"), BAD_ARRAYS, ids=[text[:20] for text, _ in BAD_ARRAYS])
def test_a_malformed_array_is_named_by_file_and_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert complaint_about(path).startswith(f"{path}{complaint}")


def test_an_empty_array_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(" [\n] ")
    assert rows_of(tmp_path / "rows.json") == []


BAD_TABLES = {
    "no header": ("", "line 1: no header; wanted the columns 'word' and 'length'."),
    "a field too few": ("word,length\none,3\none\n", "line 3: 1 fields, but the header has 2."),
    "a field too many": ("word,length\none,3,4\n", "line 2: 3 fields, but the header has 2."),
    "a column twice": ("word,length,word\n", "line 1: the column 'word' appears twice."),
    "text for a number": ("word,length\none,²\n", "line 2: 'length' must be a whole number"),
    "an open quote": ('word,length\n"one,3\n', "line 2: not CSV"),
    "text after a quote": ('word,length\n"one"x,3\n', "line 2: not CSV"),
    "a huge field": ("word,length\n" + "1" * 200_000 + ",3\n", "line 2: not CSV"),
}


@pytest.mark.parametrize(("text", "complaint"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_malformed_csv_row_is_named_by_file_and_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-8")
    assert complaint_about(path).startswith(f"{path}, {complaint}")


def test_a_csv_field_may_hold_line_breaks_and_the_next_row_is_still_counted_by_lines(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text('word,length\n"a\nb",3\nx,no\n')
    assert complaint_about(tmp_path / "rows.csv").startswith(f"{tmp_path}/rows.csv, line 4: ")


@pytest.mark.parametrize(
    ("name", "content"),
    [("rows.jsonl", ROW.encode() + b"\n\xff\n"), ("rows.json", b"[\xff]"), ("rows.csv", b"word,length\none,\xff\n")],
)
def test_text_that_is_not_utf8_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert complaint_about(tmp_path / name).endswith("not UTF-8 text.")


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 and then nothing")
    assert "rows.parquet: cannot be read as Parquet after row 0" in complaint_about(tmp_path / "rows.parquet")


def test_without_pyarrow_the_message_says_what_to_install_or_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = complaint_about(tmp_path / "rows.parquet")
    assert message.endswith("pip install pyarrow, or give a .jsonl, .json or .csv file.")


def test_a_record_of_a_table_is_adapted_before_it_is_checked() -> None:
    shape = RowShape(("word", "length"), checked, from_table=lambda record: {**record, "length": len(record["word"])})
    place, row = row_at("words, row 1", {"word": "four", "length": None}, shape, shape.from_table)
    assert (place, row) == ("words, row 1", {"word": "four", "length": 4})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (10**5000, "a huge number"),
        ([[1]], "a list of 1"),
        ({"a": {}}, "an object of 1"),
        ([1, 2, 3], "[1, 2, 3]"),
        ("\x1b[2J\n", r"'\x1b[2J\n'"),
        ("x" * 1_000_000, "'" + "x" * 36 + "…"),
    ],
    ids=["huge", "nested", "nested object", "short", "controls", "long"],
)
def test_an_excerpt_is_short_and_harmless(value: object, shown: str) -> None:
    assert excerpt(value) == shown


def test_buckets_are_even_and_the_same_everywhere() -> None:
    assert bucket_of("What is 2 + 3?") == 60
    counts = [sum(bucket_of(str(number)) < share for number in range(10_000)) for share in (10, 50)]
    assert abs(counts[0] - 1_000) < 150
    assert abs(counts[1] - 5_000) < 250
