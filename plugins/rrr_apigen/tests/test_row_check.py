"""Tools in OpenAI's form, rows that contradict themselves, and the command that counts them."""

import json
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rrr_apigen.contradictions import REASONS, contradiction
from rrr_apigen.generated import SPLIT_SHARES, Recipe, generate
from rrr_apigen.row_check import main
from rrr_apigen.row_shape import RowError, checked
from rrr_apigen.types import function_schema, required

STRING = {"type": "string"}

# Tools


def tool(name="add", **parameters):
    return {
        "name": name,
        "description": "Adds.",
        "parameters": {
            parameter: {"description": f"The {parameter}.", **(given if isinstance(given, dict) else {"type": given})}
            for parameter, given in parameters.items()
        },
    }


def test_required_is_what_has_no_default_and_is_not_optional():
    parameters = tool(a="int", b="int, optional", c={"type": "int", "default": None}, d="Optional[int]", e="")
    assert required(parameters["parameters"]) == ["a", "e"]


def test_chat_templates_get_a_tool_in_openais_form():
    assert function_schema(tool(a="int", b={"type": "List[str], optional", "default": ["x"]}, c="Foo")) == {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds.",
            "parameters": {
                "type": "object",
                "properties": {
                    "a": {"type": "integer", "description": "The a."},
                    "b": {"type": "array", "items": STRING, "description": "The b.", "default": ["x"]},
                    "c": {"description": "The c."},
                },
                "required": ["a", "c"],
            },
        },
    }


# Contradictions


def row(arguments, *tools, query="Add."):
    return {"query": query, "tools": list(tools), "answers": [{"name": "add", "arguments": arguments}]}


FITTING = {
    "an int": ({"a": 1}, "int"),
    "an int where a float is wanted": ({"a": 1}, "float"),
    "a whole float where an int is wanted": ({"a": 2.0}, "int"),
    "a very large int": ({"a": 10**400}, "int"),
    "an optional one left out": ({}, "int, optional"),
    "one that may be None left out": ({}, "int | None"),
    "one whose union has None left out": ({}, "Union[int, None]"),
    "one with a default in its type left out": ({}, "int, default=1"),
    "null where the default in the type is None": ({"a": None}, "int, default=None"),
    "one with a default left out": ({}, {"type": "int", "default": 3}),
    "one equal to its default": ({"a": ""}, {"type": "int, optional", "default": ""}),
    "null in Optional": ({"a": None}, "Optional[int]"),
    "one of a union": ({"a": "x"}, "Union[int, str]"),
    "an unknown type": ({"a": {"b": [True]}}, "Foo"),
    "a pair": ({"a": [1.5, 2]}, "Tuple[float, float]"),
    "a dictionary of lists": ({"a": {"b": [1], "c": []}}, "Dict[str, List[int]]"),
}


@pytest.mark.parametrize(("arguments", "parameter"), FITTING.values(), ids=FITTING)
def test_a_call_that_its_tool_allows_is_no_contradiction(arguments, parameter):
    assert contradiction(row(arguments, tool(a=parameter))) is None


WRONG = {
    "a bool for an int": ({"a": True}, "int", "'a' is True, not 'int'"),
    "a bool for a float": ({"a": False}, "float", "'a' is False, not 'float'"),
    "an int for a bool": ({"a": 1}, "bool", "'a' is 1, not 'bool'"),
    "text for an int": ({"a": "5"}, "int", "'a' is '5', not 'int'"),
    "a fraction for an int": ({"a": 5.5}, "int", "'a' is 5.5, not 'int'"),
    "null where nothing says so": ({"a": None}, "int, optional", "'a' is None, not 'int, optional'"),
    "true for a default of 1": ({"a": True}, {"type": "int", "default": 1}, "'a' is True, not 'int'"),
    "a wrong item": ({"a": [1, "2"]}, "List[int]", "'a' is [1, '2'], not 'List[int]'"),
    "a wrong value": ({"a": {"b": 1}}, "Dict[str, str]", "'a' is {'b': 1}, not 'Dict[str, str]'"),
    "a pair of three": ({"a": [1, 2, 3]}, "Tuple[int, int]", "'a' is [1, 2, 3], not 'Tuple[int, int]'"),
    "a pair of one": ({"a": [1]}, "Tuple[int, int]", "'a' is [1], not 'Tuple[int, int]'"),
    "none of a union": ({"a": []}, "Union[int, str]", "'a' is [], not 'Union[int, str]'"),
    "hostile text": ({"a": "\x1b[31m\n" * 50}, "int", r"'a' is '\x1b[31m\n\x1b[31m\n"),
}


@pytest.mark.parametrize(("arguments", "parameter", "detail"), WRONG.values(), ids=WRONG)
def test_an_argument_of_the_wrong_type_is_one(arguments, parameter, detail):
    found = contradiction(row(arguments, tool(a=parameter)))
    assert found.reason == "wrong type"
    assert found.detail.startswith(f"answer 1, 'add', {detail}")
    assert found.detail.isprintable()


ADD = tool(a="int")
REASONED = {
    "empty query": (row({"a": 1}, ADD, query=" \n"), ""),
    "no tools": (row({"a": 1}), ""),
    "duplicate tool names": (row({"a": 1}, ADD, tool("b"), tool(a="str")), "'add'"),
    "no answers": ({"query": "q", "tools": [ADD], "answers": []}, ""),
    "tool not offered": (row({"a": 1}, tool("sum", a="int")), "answer 1, 'add'"),
    "required argument missing": (row({"b": 1}, tool(a="int", b="int", c="int")), "answer 1, 'add', 'a'"),
    "unknown argument": (row({"a": 1, "b": 2}, ADD), "answer 1, 'add', 'b'"),
    "wrong type": (row({"a": "1"}, ADD), "answer 1, 'add', 'a' is '1', not 'int'"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_row_that_shows_it(reason):
    contradicting, detail = REASONED[reason]
    found = contradiction(checked(contradicting))
    assert (found.reason, found.detail) == (reason, detail)


def test_the_readme_has_the_reasons_in_their_order():
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    section = readme.partition("### Rows that contradict themselves")[2].partition("`--data")[0]
    assert tuple(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)) == REASONS


def test_of_several_contradictions_the_first_in_order_of_precedence_is_reported():
    calls = [{"name": "add", "arguments": {"a": "x", "b": 1}}, {"name": "add", "arguments": {}}]
    found = contradiction({"query": "q", "tools": [ADD], "answers": calls})
    assert str(found) == "required argument missing: answer 2, 'add', 'a'"


def test_every_call_of_a_row_is_checked():
    calls = [{"name": "add", "arguments": {"a": 1}}] * 3 + [{"name": "sub", "arguments": {}}]
    found = contradiction({"query": "q", "tools": [ADD], "answers": calls})
    assert str(found) == "tool not offered: answer 4, 'sub'"


def test_parameters_may_have_the_names_of_json_schema_keywords():
    words = tool(**dict.fromkeys(("type", "properties", "required", "$ref", "default", "items"), "int"))
    arguments = dict.fromkeys(words["parameters"], 1)
    assert contradiction(row(arguments, words)) is None
    assert contradiction(row({**arguments, "$ref": "x"}, words)).reason == "wrong type"


@pytest.mark.parametrize("split", SPLIT_SHARES)
def test_generated_rows_contradict_themselves_nowhere(split):
    assert {contradiction(checked(each)) for each in islice(generate(split, Recipe()), 300)} == {None}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab$"), inner, max_size=3),
    max_leaves=6,
)
TYPE_TEXTS = st.sampled_from(["int", "List[int] | None", "Foo", "", "int, default=1", "int, optional", "[" * 290])
DEFINITIONS = st.fixed_dictionaries({"type": TYPE_TEXTS}, optional={"default": VALUES}) | VALUES
PARAMETERS = st.dictionaries(st.sampled_from("ab$"), DEFINITIONS, max_size=3)
TOOLS = st.lists(st.fixed_dictionaries({"name": st.sampled_from("fg"), "parameters": PARAMETERS}) | VALUES, max_size=3)
ARGUMENTS = st.dictionaries(st.sampled_from("ab$"), VALUES, max_size=3)
ANSWERS = st.lists(st.fixed_dictionaries({"name": st.sampled_from("fg"), "arguments": ARGUMENTS}) | VALUES, max_size=3)


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({"query": st.just("q") | VALUES, "tools": TOOLS | VALUES, "answers": ANSWERS | VALUES}))
def test_any_record_is_a_row_or_malformed_and_any_row_is_valid_or_has_a_reason(record):
    try:
        shaped = checked(record)
    except RowError as error:
        assert "\n" not in str(error)
        return
    found = contradiction(shaped)
    assert found is None or (found.reason in REASONS and found.detail.isprintable())
    assert contradiction(json.loads(json.dumps(shaped))) == found


# The command


@pytest.fixture
def rows_file(tmp_path):
    def written(*rows):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in rows))
        return str(path)

    return written


def test_the_command_counts_by_reason_and_exits_with_one(rows_file):
    good = row({"a": 1}, ADD)
    bad = [REASONED[reason][0] for reason in REASONS]
    result = CliRunner().invoke(main, [rows_file(good, *bad, good, REASONED["wrong type"][0])])
    counts = dict(line.strip().rsplit(maxsplit=1) for line in result.stdout.splitlines())
    assert counts == {
        "rows": "11",
        "contradict themselves": "9",
        **dict.fromkeys(REASONS, "1"),
        "wrong type": "2",
        "types not understood": "0",
    }
    assert result.exit_code == 1


def test_the_command_lists_place_and_reason(rows_file):
    path = rows_file(row({"a": 1}, ADD), REASONED["tool not offered"][0])
    result = CliRunner().invoke(main, ["--list", path])
    assert result.stdout.startswith(f"{path}, line 2: tool not offered: answer 1, 'add'\n")


def test_valid_rows_exit_with_zero_and_unknown_words_are_counted(rows_file):
    path = rows_file(row({"a": 1, "b": [2]}, tool(a="Foo", b="List[Foo]")))
    result = CliRunner().invoke(main, [path])
    assert result.exit_code == 0
    assert "types not understood           2\n  'Foo'" in result.stdout


@pytest.mark.parametrize("line", ["nonsense", '{"query": "q"}'])
def test_rows_that_cannot_be_read_exit_with_two_and_one_line(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_text(line)
    result = CliRunner().invoke(main, [str(path)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {path}, line 1: ")
    assert result.stderr.count("\n") == 1


def test_the_command_runs_as_the_readme_says(rows_file):
    command = [sys.executable, "-W", "error", "-m", "rrr_apigen.row_check", rows_file(row({"a": 1}, ADD))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split()[:2] == ["rows", "1"]
