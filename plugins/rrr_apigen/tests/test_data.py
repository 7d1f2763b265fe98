"""Rows from local files, from the hub, and the options that choose them."""

import json
import re
import sys
from itertools import islice
from pathlib import Path

import pytest
from rrr_apigen import hub
from rrr_apigen.generated import Recipe, generate
from rrr_apigen.rows import OPTIONS, load
from rrr_apigen.screening import POLICIES
from rrr_apigen.splits import TEST_SHARE, split_of

from rrr_core.errors import DataError

ROWS = [{"id": number, **row} for number, row in enumerate(islice(generate("train", Recipe()), 80))]
ROW = {
    "query": "Add 1 and 2.",
    "tools": [{"name": "add", "description": "Adds.", "parameters": {"a": {"description": "One.", "type": "int"}}}],
    "answers": [{"name": "add", "arguments": {"a": 1}}],
}
CONTRADICTING = {**ROW, "answers": [{"name": "subtract", "arguments": {"a": 1}}]}


def published(row):
    """A row as the published data set has it: tools and answers are JSON in strings."""
    return {**row, "tools": json.dumps(row["tools"]), "answers": json.dumps(row["answers"])}


def write_jsonl(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_published_jsonl(path, rows=ROWS):
    return write_jsonl(path, map(published, rows))


def write_json(path, rows=ROWS):
    path.write_text(json.dumps(list(map(published, rows))))
    return path


def write_indented_json(path, rows=ROWS):
    path.write_text(json.dumps(rows, indent=2))
    return path


def write_parquet(path, rows=ROWS):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pylist(list(map(published, rows)))
    pytest.importorskip("pyarrow.parquet").write_table(table, path)
    return path


WRITERS = {
    ".jsonl": write_jsonl,
    "-published.jsonl": write_published_jsonl,
    ".json": write_json,
    "-indented.json": write_indented_json,
    ".parquet": write_parquet,
}


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


def test_a_file_of_any_kind_gives_decoded_rows_and_splits_them_by_query(rows_file):
    train, test = (list(load(split, {"source": str(rows_file)})) for split in ("train", "test"))
    assert train == [row for row in ROWS if split_of(row["query"]) == "train"]
    assert test == [row for row in ROWS if split_of(row["query"]) == "test"]
    assert len(train) > len(test) > 0


def test_a_folder_holds_its_own_split(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", ROWS[:5])
    write_json(tmp_path / "test.json", ROWS[5:8])
    (tmp_path / "README.md").write_text("rows")
    assert list(load("train", {"source": str(tmp_path)})) == ROWS[:5]
    assert list(load("test", {"source": str(tmp_path)})) == ROWS[5:8]


def test_other_columns_are_dropped_and_blank_lines_skipped(tmp_path):
    text = "\ufeff" + json.dumps({**ROW, "model": "x"}) + "\n\n  \n"
    (tmp_path / "train.jsonl").write_text(text, encoding="utf-8")
    assert list(load("train", {"source": str(tmp_path)})) == [ROW]


def test_what_a_tool_may_omit_is_filled_in(tmp_path):
    tools = [{"name": "add", "parameters": {"a": {}}}, {"name": "stop", "parameters": None, "returns": "x"}]
    write_jsonl(tmp_path / "train.jsonl", [{**ROW, "tools": tools}])
    (row,) = load("train", {"source": str(tmp_path)})
    assert row["tools"] == [
        {"name": "add", "description": "", "parameters": {"a": {"description": "", "type": ""}}},
        {"name": "stop", "description": "", "parameters": {}},
    ]


def row_with(**columns):
    return json.dumps({**ROW, **columns})


def with_parameter(definition):
    return row_with(tools=[{"name": "add", "parameters": {"a": definition}}])


BAD_LINES = {
    "a number as query": (row_with(query=7), "'query' must be text, but is 7"),
    "no query": (row_with(query=None), "'query' must be text, but is None"),
    "a list as id": (row_with(id=[1]), "'id' must be a whole number or text, but is [1]"),
    "tools that are an object": (
        row_with(tools={"name": "f"}),
        "'tools' must be a list, or a list as JSON in a string, but is {'name': 'f'}",
    ),
    "tools that are an object in a string": (row_with(tools='{"a": 1}'), "'tools' must be a list"),
    "tools in broken JSON": (row_with(tools='[{"name": "f"'), "'tools' is not JSON (Expecting ',' delimiter"),
    "no answers column": (json.dumps({"query": "q", "tools": []}), "no column 'answers'; found 'query', 'tools'"),
    "another name for a column": (
        json.dumps({"query": "q", "tools": [], "answer": []}),
        "wanted 'query', 'tools' and 'answers'. Did you mean 'answer'?",
    ),
    "answers with NaN": (row_with(answers='[{"name": "f", "arguments": {"a": NaN}}]'), "NaN is not a JSON number"),
    "a number beyond floats": (row_with(answers='[{"name": "f", "arguments": {"a": 1e999}}]'), "1e999 is too large"),
    "a key twice in a string": (row_with(tools='[{"name": "f", "name": "g"}]'), "the key 'name' appears twice"),
    "a number of 5,000 digits": (row_with(answers="[" + "9" * 5_000 + "]"), "'answers' is not JSON"),
    "a tool that is text": (row_with(tools=["add"]), "tool 1 must be a JSON object, but is 'add'"),
    "a tool without name": (row_with(tools=[{"type": "function"}]), "tool 1 must have a 'name', but its name is None"),
    "a tool of a blank name": (row_with(tools=[{"name": " "}]), "tool 1 must have a 'name', but its name is ' '"),
    "a description that is none": (row_with(tools=[{"name": "f", "description": 3}]), "'description' that is text"),
    "a parameter that is text": (with_parameter("int"), "tool 1, parameter 'a', must be a JSON object, but is 'int'"),
    "a type that is a list": (with_parameter({"type": ["int"]}), "must have a 'type' that is text, but it is ['int']"),
    "parameters that are a list": (
        row_with(tools=[{"name": "f", "parameters": []}]),
        "tool 1, 'parameters', must be a JSON object, but is []",
    ),
    "an answer with more than a call": (
        row_with(answers=[{"name": "f", "arguments": {}, "id": 1}]),
        "answer 1 must have exactly 'name' and 'arguments', but has 'name', 'arguments', 'id'",
    ),
    "an answer of no name": (row_with(answers=[{"name": 1, "arguments": {}}]), "a 'name' that is text, but it is 1"),
    "arguments in a list": (
        row_with(answers=[{"name": "f", "arguments": [1]}]),
        "answer 1, 'arguments', must be a JSON object, but is [1]",
    ),
    "half a surrogate pair": (row_with(query="\ud800"), "half of a surrogate pair"),
    "a value nested too deeply": (
        row_with(answers=[{"name": "f", "arguments": {"a": json.loads("[" * 40 + "]" * 40)}}]),
        "'answers' is nested in more than 32 levels",
    ),
    "100,000 brackets in a string": (row_with(tools="[" * 100_000), "'tools' is not JSON (nested too deeply)"),
}


@pytest.mark.parametrize(("line", "complaint"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_malformed_json_line_is_named_by_file_and_line(tmp_path, line, complaint):
    path = tmp_path / "train.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n{line}\n")
    message = failing(source=str(tmp_path))
    assert message.startswith(f"{path}, line 2: ")
    assert complaint in message
    assert len(message) < len(str(path)) + 300


def test_a_malformed_parquet_row_is_named_by_its_number(tmp_path):
    write_parquet(tmp_path / "train.parquet", [ROW, {**ROW, "tools": [{"name": ""}]}])
    assert "train.parquet, row 2: tool 1 must have a 'name'" in failing(source=str(tmp_path))


def test_parquet_whose_calls_are_columns_is_refused_since_it_mixes_their_arguments(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    calls = [{"name": "add", "arguments": {"a": 1}}, {"name": "pay", "arguments": {"sum": 2}}]
    table = pyarrow.Table.from_pylist([published(ROW) | {"answers": calls}])
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "train.parquet")
    assert "train.parquet: 'answers.arguments' must keep its own keys" in failing(source=str(tmp_path))


# The split


def test_the_split_of_a_row_depends_on_its_query_alone(tmp_path):
    source = str(write_jsonl(tmp_path / "rows.jsonl", ROWS[::-1]))
    assert {row["id"] for row in load("test", {"source": source})} == {
        row["id"] for row in ROWS if split_of(row["query"]) == "test"
    }


def test_case_and_spaces_of_a_query_do_not_change_its_split():
    queries = [row["query"] for row in ROWS]
    assert [split_of(f" {query.upper()}\n") for query in queries] == [split_of(query) for query in queries]


def test_a_larger_share_only_adds_test_rows(tmp_path):
    source = str(write_jsonl(tmp_path / "rows.jsonl"))
    shares = [{row["id"] for row in load("test", {"source": source, "test_share": share})} for share in ("5", "50")]
    assert shares[0] < shares[1]
    assert 20 < len(shares[1]) < 60


# Rows that contradict themselves


@pytest.fixture
def folder(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", [ROW, CONTRADICTING, {**ROW, "query": " "}, ROW])
    return str(tmp_path)


def test_contradicting_rows_are_dropped_and_their_number_is_reported(folder, caplog):
    assert list(load("train", {"source": folder})) == [ROW, ROW]
    (message,) = caplog.messages
    assert message == (
        f"apigen: 2 of 4 rows read from {folder} contradict themselves and are left out "
        "(1 empty query, 1 tool not offered); --data contradictions=list names them."
    )


def test_they_are_listed_on_request(folder, caplog):
    assert list(load("train", {"source": folder, "contradictions": "list"})) == [ROW, ROW]
    *named, total = caplog.messages
    assert named == [
        f"apigen: {folder}/train.jsonl, line 2: tool not offered: answer 1, 'subtract'",
        f"apigen: {folder}/train.jsonl, line 3: empty query",
    ]
    assert total.startswith("apigen: 2 of 4 rows")


def test_they_are_kept_on_request_if_a_model_can_answer_them(folder, caplog):
    assert list(load("train", {"source": folder, "contradictions": "keep"})) == [ROW, CONTRADICTING, ROW]
    assert "2 of 4 rows" in caplog.text
    assert "are kept" in caplog.text


def test_they_are_reported_even_if_only_some_rows_are_taken(folder, caplog):
    rows = load("train", {"source": folder})
    assert list(islice(rows, 2)) == [ROW, ROW]
    rows.close()
    assert "2 of 4 rows read" in caplog.text


def test_nothing_is_reported_for_valid_rows(tmp_path, caplog):
    assert list(load("train", {"source": str(write_jsonl(tmp_path / "rows.jsonl"))}))
    assert caplog.messages == []


# The hub


@pytest.fixture
def datasets(tmp_path_factory, monkeypatch):
    """The library, with its cache outside the user's folders."""
    library = pytest.importorskip("datasets")
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    return library


@pytest.mark.parametrize("writer", [write_json, write_parquet])
def test_published_rows_are_read_and_split_like_a_copy_in_a_file(tmp_path, datasets, writer):
    path = writer(tmp_path / ("train.json" if writer is write_json else "train.parquet"))
    for split in ("train", "test"):
        loaded = list(load(split, {"source": "hub", "dataset": str(tmp_path)}))
        assert loaded == list(load(split, {"source": str(path)}))
        assert loaded


def test_a_data_set_with_other_columns_is_refused(tmp_path, datasets):
    write_jsonl(tmp_path / "train.jsonl", [{"query": "q", "tools": "[]", "labels": "[]"}])
    assert "no column 'answers'; found 'query', 'tools', 'labels'" in failing(source="hub", dataset=str(tmp_path))


def test_a_malformed_published_row_is_named_by_its_number(tmp_path, datasets):
    write_parquet(tmp_path / "train.parquet", [ROW, {**ROW, "answers": [7]}])
    message = failing(source="hub", dataset=str(tmp_path))
    assert message == f"{tmp_path}, row 2: answer 1 must be a JSON object, but is 7."


def test_name_and_revision_reach_the_hub(monkeypatch, datasets):
    asked = []

    def recorded(dataset, configuration, *, split, revision):
        asked.append((dataset, split, revision))
        raise ConnectionError

    monkeypatch.setattr(datasets, "load_dataset", recorded)
    failing(source="hub", revision="v2")
    failing(source="hub", dataset="someone/calls")
    assert asked == [(hub.DATASET, "train", "v2"), ("someone/calls", "train", None)]


def test_without_datasets_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    message = failing(source="hub")
    assert "pip install 'rrr-apigen[hub]', or use source=generated or a downloaded file" in message


# Options


def test_generated_rows_are_the_default_and_follow_their_options():
    assert list(islice(load("train", {}), 20)) == list(islice(generate("train", Recipe()), 20))
    options = {"source": "generated", "most_tools": "3", "most_calls": "1", "seed": "9"}
    rows = list(islice(load("test", options), 20))
    assert rows == list(islice(generate("test", Recipe(3, 1, 9)), 20))
    assert all(len(row["tools"]) <= 3 and len(row["answers"]) == 1 for row in rows)


def test_the_readme_has_every_option_with_its_default():
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    recipe = Recipe()
    defaults = {"most_tools": recipe.most_tools, "most_calls": recipe.most_calls, "seed": recipe.seed}
    defaults |= {"test_share": TEST_SHARE, "contradictions": POLICIES[0]}
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", readme, re.MULTILINE))
    assert set(rows) == {option.name for option in OPTIONS} - {"source"}
    assert {name: rows[name] for name in defaults} == {name: f"`{value}`" for name, value in defaults.items()}


def test_the_error_for_an_unknown_option_suggests_the_nearest():
    assert "no data option 'most_tool'. Did you mean 'most_tools'?" in failing(most_tool="3")
    assert "It has source, most_tools, most_calls, seed, dataset" in failing(zzz="1")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"most_tools": "0"}, "most_tools=0 must be between 1 and 8"),
        ({"most_tools": "9"}, "most_tools=9 must be between 1 and 8"),
        ({"most_tools": "two"}, "most_tools='two' must be a whole number"),
        ({"most_calls": "4"}, "most_calls=4 must be between 1 and 3"),
        ({"most_calls": "³"}, "must be a whole number"),
        ({"seed": "-1"}, "seed='-1' must be a whole number"),
        ({"seed": "9" * 5_000}, "must be a whole number"),
        ({"source": "hub", "contradictions": "lst"}, "must be drop, list or keep. Did you mean 'list'?"),
        ({"revision": "main"}, "'revision' belongs to source=hub, not to source=generated"),
        ({"contradictions": "keep"}, "belongs to source=hub, a file or a folder, not to source=generated"),
        ({"source": "hub", "seed": "1"}, "'seed' belongs to source=generated, not to source=hub"),
        ({"source": "rows.json", "seed": "1"}, "'seed' belongs to source=generated, not to source=rows.json"),
    ],
)
def test_a_wrong_value_is_refused_before_any_row(options, complaint):
    assert complaint in failing(**options)


@pytest.mark.parametrize("share", ["0", "100", "0.2", "twenty"])
def test_a_share_that_empties_a_split_is_refused(tmp_path, share):
    source = str(write_jsonl(tmp_path / "rows.jsonl"))
    assert "apigen's data option test_share=" in failing(source=source, test_share=share)


def test_a_folder_takes_no_share_because_it_is_already_split(tmp_path):
    write_jsonl(tmp_path / "train.jsonl")
    assert "'test_share' belongs to source=hub or a file," in failing(source=str(tmp_path), test_share="20")


def test_the_error_for_an_unknown_split_suggests_the_nearest():
    assert "no split 'tests'. Did you mean 'test'?" in failing(split="tests")
    assert "source=hub has no split 'warmup'" in failing(split="warmup", source="hub")
