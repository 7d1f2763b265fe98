"""Types as people write them: what each accepts as JSON Schema, and whether its argument may be omitted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from rrr_apigen.types import parse

STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
NULL = {"type": "null"}

TYPES = {
    "str": STRING,
    "string": STRING,
    " int ": INTEGER,
    "float": NUMBER,
    "bool": {"type": "boolean"},
    "list": {"type": "array"},
    "List": {"type": "array"},
    "dict": {"type": "object"},
    "set": {"type": "array"},
    "tuple": {"type": "array"},
    "List[int]": {"type": "array", "items": INTEGER},
    "list[str]": {"type": "array", "items": STRING},
    "typing.List[int]": {"type": "array", "items": INTEGER},
    "List[List[str]]": {"type": "array", "items": {"type": "array", "items": STRING}},
    "Set[float]": {"type": "array", "items": NUMBER},
    "Dict[str, int]": {"type": "object", "additionalProperties": INTEGER},
    "Dict[int, List[str]]": {"type": "object", "additionalProperties": {"type": "array", "items": STRING}},
    "Dict[str, Any]": {"type": "object"},
    "Tuple[float, float]": {"type": "array", "prefixItems": [NUMBER, NUMBER], "items": False, "minItems": 2},
    "Tuple[int, ...]": {"type": "array", "items": INTEGER},
    "Union[int, str]": {"anyOf": [INTEGER, STRING]},
    "Union[int, int]": INTEGER,
    "Union[int, Any]": {},
    "int | str": {"anyOf": [INTEGER, STRING]},
    "Optional[int]": {"anyOf": [INTEGER, NULL]},
    "List[Union[int, float]]": {"type": "array", "items": {"anyOf": [INTEGER, NUMBER]}},
    "Any": {},
    "Callable": {},
    "Callable[[float], float]": {},
    "Callable[..., int]": {},
    "Callable[[], int]": {},
}


@pytest.mark.parametrize(("text", "schema"), TYPES.items(), ids=TYPES)
def test_a_type_is_read_as_json_schema(text, schema):
    found = parse(text)
    assert found.schema == schema
    assert found.unknown == ()
    Draft202012Validator.check_schema(found.schema)


@pytest.mark.parametrize(("text", "schema"), TYPES.items(), ids=TYPES)
def test_optional_behind_a_type_changes_nothing_else(text, schema):
    for marked in (f"{text}, optional", f"{text},Optional", f"{text} (optional)", f"{text}, optional, default 3"):
        assert (parse(marked).schema, parse(marked).is_optional) == (schema, True)


OPTIONAL = (
    "Optional[str]",
    "typing.Optional[str]",
    "Optional[List[Dict[str, int]]]",
    "str | None",
    "None | str",
    "List[str] | None",
    "str | int | None",
    "str or None",
    "Union[str, None]",
    "Union[None, str]",
    "Union[str, NoneType]",
    "Union[Optional[int], str]",
    "typing.Union[str, None]",
    "Annotated[str | None, 'the unit']",
    "Literal['c', 'f'] | None",
    "Optional[Foo]",
    "Union[Foo, None]",
    "str?",
    "int, default=1",
    "int, default: 1",
    "int, default 1",
    "int, defaults to 1",
    "int, optional, default=1",
    "int=1",
    "str = 'a, b'",
    "List[int], default=[1, 2]",
    "tuple, default=(1, 2)",
    "int (default: 1)",
    "int (optional, default 1)",
)
REQUIRED = (
    "str",
    "str, required",
    "Any",
    "Foo",
    "Optional",
    "List[Optional[str]]",
    "List[str | None]",
    "Dict[str, Union[int, None]]",
    "Tuple[int, None]",
    "Literal['None']",
    "int, defaulted",
)


@pytest.mark.parametrize("text", OPTIONAL)
def test_an_argument_may_be_omitted_where_its_type_says_so(text):
    assert parse(text).is_optional
    assert set(parse(text).unknown) <= {"Foo"}


@pytest.mark.parametrize("text", REQUIRED)
def test_an_argument_whose_type_says_nothing_of_the_kind_is_required(text):
    assert not parse(text).is_optional


def test_a_default_leaves_the_type_and_only_none_adds_to_it():
    assert parse("int, default=1").schema == INTEGER
    assert parse("int, default=None").schema == parse("int = null").schema == {"anyOf": [INTEGER, NULL]}


def test_literals_are_their_values():
    assert parse("Literal['a', \"b\", 1, -2.5, True, None]").schema == {"enum": ["a", "b", 1, -2.5, True, None]}
    assert parse("Literal[a]").unknown == ("Literal[a]",)


UNKNOWN = {
    "np.ndarray": ("np.ndarray",),
    "datetime, optional": ("datetime",),
    "Dict[str, Foo]": ("Foo",),
    "Union[Foo, Bar[int]]": ("Foo", "Bar"),
    "int[str]": ("int",),
    "": ("",),
    "one of: a, b": ("one of: a, b",),
    "List[": ("List[",),
    "List[int": ("List[int",),
    "List[]": ("List[]",),
    "int]": ("int]",),
    "int, str]": ("int, str]",),
    "int, str": ("int, str",),
    "int str": ("int str",),
    "List[int,]": ("List[int,]",),
    "__import__('os').system('true')": ("__import__('os').system('true')",),
    "整数": ("整数",),
    "List[" * 20 + "int" + "]" * 20: ("List[" * 20 + "int" + "]" * 20,),
    "[" * 290: ("[" * 290,),
    "Callable" + "[" * 290: ("Callable" + "[" * 290,),
    "int" + " " * 10_000: ("int" + " " * 10_000,),
}


@pytest.mark.parametrize(("text", "words"), UNKNOWN.items(), ids=lambda value: str(value)[:30])
def test_an_unknown_word_accepts_any_value_and_is_reported(text, words):
    assert parse(text).unknown == words


def test_an_unknown_word_does_not_disable_the_type_around_it():
    assert parse("List[Foo]").schema == {"type": "array"}
    assert parse("Union[Foo, int]").schema == {}
    assert parse("Tuple[Foo, int]").schema["prefixItems"] == [{}, INTEGER]


PIECES = [
    *"[],|.()'= ",
    "Literal",
    "Annotated",
    "default",
    "or",
    "None",
    "int",
    "List",
    "Tuple",
    "Dict",
    "Callable",
    "Optional",
    "Union",
    "optional",
    "...",
    "\0",
    "ü",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES)).map("".join) | st.text())
def test_no_type_text_raises_and_each_gives_a_schema(text):
    Draft202012Validator.check_schema(parse(text).schema)
