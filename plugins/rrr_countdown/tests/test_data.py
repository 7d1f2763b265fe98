"""Rows from local files, from the hub, and the options that choose them."""

import json
import sys
from itertools import islice

import pytest
from rrr_countdown import hub
from rrr_countdown.generated import Recipe, generate, split_of
from rrr_countdown.row_check import own_row
from rrr_countdown.rows import load

from rrr_core.errors import DataError
from rrr_core.row_files import RowError

ROWS = list(islice(generate("train", Recipe((3, 4), 99, "+-*/")), 60)) + list(islice(generate("test", Recipe()), 20))


def content(rows):
    return [(tuple(row["nums"]), row["target"]) for row in rows]


def write_jsonl(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_csv(path, rows=ROWS, number_list=json.dumps):
    quoted = [f'"{number_list(row["nums"])}",{row["target"]}\n' for row in rows]
    path.write_text("nums,target\n" + "".join(quoted))
    return path


def write_parquet(path, rows=ROWS):
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def write_spaced_csv(path, rows=ROWS):
    return write_csv(path, rows, lambda nums: " ".join(map(str, nums)))


WRITERS = {".jsonl": write_jsonl, ".csv": write_csv, "-spaced.csv": write_spaced_csv, ".parquet": write_parquet}


@pytest.fixture(params=list(WRITERS))
def rows_file(request, tmp_path):
    return WRITERS[request.param](tmp_path / f"rows{request.param}")


def failing(split="train", **options):
    """The one-line message of the DataError that loading raises."""
    with pytest.raises(DataError) as caught:
        list(load(split, options))
    message = str(caught.value)
    assert "\n" not in message
    return message


# Files


def test_one_file_is_split_by_content_and_no_row_is_lost(rows_file):
    train, test = list(load("train", {"source": str(rows_file)})), list(load("test", {"source": str(rows_file)}))
    assert content(train) == content(row for row in ROWS if split_of(row["nums"], row["target"]) != "test")
    assert content(test) == content(row for row in ROWS if split_of(row["nums"], row["target"]) == "test")
    assert len(test) >= 20
    assert not set(content(train)) & set(content(test))


def test_a_folder_holds_its_own_split(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", ROWS[:5])
    write_csv(tmp_path / "test.csv", ROWS[5:8])
    (tmp_path / "README.md").write_text("rows")
    assert content(load("train", {"source": str(tmp_path)})) == content(ROWS[:5])
    assert content(load("test", {"source": str(tmp_path)})) == content(ROWS[5:8])


def test_other_columns_are_dropped_and_blank_lines_skipped(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('\ufeff{"target": 3, "nums": [1, 2], "id": 7}\n\n  \n', encoding="utf-8")
    assert list(load("train", {"source": str(tmp_path)})) == [{"nums": [1, 2], "target": 3}]
    path.unlink()
    (tmp_path / "train.csv").write_text('\ufeffid,target,nums\n7,-3,"1 2"\n\n', encoding="utf-8")
    assert list(load("train", {"source": str(tmp_path)})) == [{"nums": [1, 2], "target": -3}]


BAD_RECORDS = {
    '{"nums": [1, 2], "target": "3"}': "'target' must be a whole number, but is '3'",
    '{"nums": [1, 2], "target": 3.0}': "'target' must be a whole number, but is 3.0",
    '{"nums": [1, 2], "target": true}': "'target' must be a whole number, but is True",
    '{"nums": [1, 2], "target": null}': "'target' must be a whole number, but is None",
    '{"nums": [1, 2.5], "target": 3}': "'nums' must hold whole numbers of zero or more, but holds 2.5",
    '{"nums": [1, -2], "target": 3}': "but holds -2",
    '{"nums": [1, null], "target": 3}': "but holds None",
    '{"nums": [], "target": 3}': "'nums' must be a list of whole numbers, but is []",
    '{"nums": "1 2", "target": 3}': "'nums' must be a list of whole numbers, but is '1 2'",
    '{"nums": [1, 1000000000000000000], "target": 3}': "but holds 1000000000000000000",
    '{"nums": [1, ' + "9" * 4_000 + '], "target": 3}': "but holds a huge number",
    '{"nums": [1, ' + "9" * 5_000 + '], "target": 3}': "not JSON",
    '{"nums": ' + json.dumps([1] * 101) + ', "target": 101}': "'nums' has 101 numbers, more than 100",
    '{"nums": [1, 2], "goal": 3}': "no column 'target'; found 'nums', 'goal', wanted 'nums' and 'target'",
    '{"numbers": [1, 2], "target": 3}': "no column 'nums'; found 'numbers', 'target', wanted 'nums' and 'target'. "
    "Did you mean 'numbers'?",
}


@pytest.mark.parametrize(("line", "complaint"), BAD_RECORDS.items(), ids=lambda value: value[:30])
def test_a_malformed_json_line_is_named_by_file_and_line(tmp_path, line, complaint):
    path = tmp_path / "train.jsonl"
    path.write_text(f'{{"nums": [1, 2], "target": 3}}\n{line}\n')
    message = failing(source=str(tmp_path))
    assert message.startswith(f"{path}, line 2: ")
    assert complaint in message
    assert len(message) < len(str(path)) + 300


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nums,target\n1 2,3\n1 x,3\n", "line 3: 'nums' must hold whole numbers of zero or more, but holds 'x'"),
        ("nums,target\n1 2,three\n", "line 2: 'target' must be a whole number, but is 'three'"),
        ("nums,target\n1 2,\n", "line 2: 'target' must be a whole number, but is ''"),
        ('nums,target\n"[1, 2",3\n', "line 2: 'nums' must be a list of whole numbers, but is '[1, 2'"),
        ("nums,target\n,3\n", "line 2: 'nums' must be a list of whole numbers, but is ''"),
        ("nums,target\n1 2,²\n", "line 2: 'target' must be a whole number"),
    ],
)
def test_a_malformed_csv_row_is_named_by_file_and_line(tmp_path, text, complaint):
    (tmp_path / "train.csv").write_text(text, encoding="utf-8")
    message = failing(source=str(tmp_path))
    assert f"{tmp_path / 'train.csv'}, " in message
    assert complaint in message


def test_a_malformed_parquet_row_is_named_by_its_number(tmp_path):
    write_parquet(tmp_path / "train.parquet", [{"nums": [1, 2], "target": 3}, {"nums": [1, None], "target": 3}])
    assert "train.parquet, row 2: 'nums' must hold whole numbers" in failing(source=str(tmp_path))


# The hub


@pytest.fixture
def datasets(tmp_path_factory, monkeypatch):
    """The library, with its cache outside the user's folders."""
    library = pytest.importorskip("datasets")
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    return library


def test_the_published_rows_are_split_as_tinyzero_does(tmp_path, datasets):
    write_parquet(tmp_path / "train.parquet", ROWS[:20])
    train = hub.load("train", str(tmp_path), train_rows=12, test_rows=5)
    test = hub.load("test", str(tmp_path), train_rows=12, test_rows=5)
    assert content(train) == content(ROWS[:12])
    assert content(test) == content(ROWS[12:17])
    assert (hub.TRAIN_ROWS, hub.TEST_ROWS) == (327_680, 1_024)


def test_the_sizes_of_its_splits_are_the_users_to_choose(tmp_path, datasets):
    write_parquet(tmp_path / "train.parquet", ROWS[:20])
    options = {"source": "hub", "dataset": str(tmp_path), "train_rows": "12", "test_rows": "8"}
    assert content(load("train", options)) == content(ROWS[:12])
    assert content(load("test", options)) == content(ROWS[12:20])


def test_the_papers_test_rows_fit_behind_tinyzeros_training_rows():
    published = 490_364
    assert published >= hub.TRAIN_ROWS + hub.PAPER_TEST_ROWS


def test_a_data_set_of_another_size_or_with_other_columns_is_refused(tmp_path, datasets):
    write_parquet(tmp_path / "train.parquet", ROWS[:20])
    assert (
        "20 rows, too few for 327,680 training rows (train_rows) and the next 1,024 as test rows (test_rows). "
        "Give fewer train_rows; or give the file as source=PATH, which splits by content."
    ) in failing(source="hub", dataset=str(tmp_path))
    assert "test_rows may be up to 8 then" in failing(source="hub", dataset=str(tmp_path), train_rows="12")
    other = tmp_path / "other"
    other.mkdir()
    write_jsonl(other / "train.jsonl", [{"numbers": [1, 2], "target": 3}])
    assert "no column 'nums'; found 'numbers', 'target', wanted" in failing(source="hub", dataset=str(other))


@pytest.mark.parametrize("name", ["numbrs", "test_row", "trainrows"])
def test_a_misspelt_option_is_refused_with_the_nearest(name):
    assert f"countdown has no data option {name!r}. Did you mean" in failing(**{name: "3"})


def test_a_folder_of_save_to_disk_is_read_like_a_file_or_by_its_splits(tmp_path, datasets):
    datasets.disable_progress_bars()
    table = datasets.Dataset.from_list([{"nums": row["nums"], "target": row["target"]} for row in ROWS[:20]])
    table.save_to_disk(tmp_path / "one")
    one = {"source": str(tmp_path / "one")}
    both = [*content(load("train", one)), *content(load("test", one))]
    assert sorted(map(str, both)) == sorted(map(str, content(ROWS[:20])))
    datasets.DatasetDict(train=table.select(range(5)), test=table.select(range(5, 8))).save_to_disk(tmp_path / "two")
    assert content(load("test", {"source": str(tmp_path / "two")})) == content(ROWS[5:8])


def test_a_row_from_outside_keeps_what_is_the_tasks_and_must_be_a_row(tmp_path):
    assert own_row({"id": 1, "nums": [44, 19, 35], "target": 98}) == {"nums": [44, 19, 35], "target": 98}
    with pytest.raises(RowError, match="the row has no 'nums', but 'numbers'"):
        own_row({"numbers": [1]})
    with pytest.raises(RowError, match="'target' must be a whole number"):
        own_row({"nums": [1], "target": "1"})


def test_a_malformed_published_row_is_named_by_its_number(tmp_path, datasets):
    write_parquet(tmp_path / "train.parquet", [{"nums": [1, 2], "target": 3}, {"nums": [1, -2], "target": 3}])
    with pytest.raises(DataError, match=r"row 2: 'nums' must hold whole numbers"):
        list(hub.load("train", str(tmp_path), train_rows=2, test_rows=0))


def test_name_and_revision_reach_the_hub(monkeypatch, datasets):
    asked = []

    def recorded(dataset, configuration, *, split, revision):
        asked.append((dataset, split, revision))
        raise ConnectionError

    monkeypatch.setattr(datasets, "load_dataset", recorded)
    failing(source="hub", revision="v2")
    failing(source="hub", dataset="someone/rows")
    assert asked == [("Jiayi-Pan/Countdown-Tasks-3to4", "train", "v2"), ("someone/rows", "train", None)]


def test_without_datasets_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    message = failing(source="hub")
    assert "pip install 'rrr-countdown[hub]', or use source=generated or a downloaded file" in message


# Options


def test_generated_rows_are_the_default_and_follow_their_options():
    assert list(islice(load("train", {}), 20)) == list(islice(generate("train", Recipe()), 20))
    options = {"source": "generated", "numbers": "3-4", "largest": "20", "operators": "+*", "seed": "9"}
    assert list(islice(load("test", options), 20)) == list(islice(generate("test", Recipe((3, 4), 20, "+*", 9)), 20))
    assert all(len(row["nums"]) == 4 for row in islice(load("train", {"numbers": "4"}), 20))


def test_the_error_for_an_unknown_option_suggests_the_nearest():
    assert "no data option 'number'. Did you mean 'numbers'?" in failing(number="3")
    assert "It has source, numbers, largest, operators, seed" in failing(zzz="1")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"numbers": "7"}, "numbers='7' must be N or LOW-HIGH between 2 and 6"),
        ({"numbers": "1"}, "numbers='1' must be"),
        ({"numbers": "4-3"}, "numbers='4-3' must be"),
        ({"numbers": "3-"}, "numbers='' must be a whole number"),
        ({"numbers": "three"}, "numbers='three' must be a whole number"),
        ({"numbers": "³"}, "must be a whole number"),
        ({"largest": "0"}, "largest=0 must be between 5 and 999"),
        ({"largest": "1e3"}, "largest='1e3' must be a whole number"),
        ({"largest": "9" * 5_000}, "must be a whole number"),
        ({"operators": ""}, "operators='' must be some of + - * /"),
        ({"operators": "++"}, "operators='++' must be"),
        ({"operators": "+^"}, "operators='+^' must be"),
        ({"seed": "-1"}, "seed='-1' must be a whole number"),
        ({"revision": "main"}, "'revision' belongs to source=hub, not to source=generated"),
        ({"source": "hub", "seed": "1"}, "'seed' belongs to source=generated, not to source=hub"),
        ({"source": "rows.csv", "seed": "1"}, "'seed' belongs to source=generated, not to source=rows.csv"),
    ],
)
def test_a_wrong_value_is_refused_before_any_row(options, complaint):
    assert complaint in failing(**options)


def test_the_error_for_an_unknown_split_suggests_the_nearest():
    assert "no split 'tests'. Did you mean 'test'?" in failing(split="tests")
    assert "source=hub has no split 'warmup'" in failing(split="warmup", source="hub")
