"""The data set's types, written as Python writes them (`List[int]`, `str, optional`), as JSON Schema.

    type      := union, then any number of `, remark`
    remark    := `optional`, which lets the argument be left out, or `required`, or `default` and its value
    union     := member, then any number of `| member`
    member    := `None`, or a name, or a name with `[arguments]`; arguments are unions, `...` or a list of unions

Nothing is evaluated. An unknown word accepts any value: the check of gold calls must not refuse what it
cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]
"""JSON Schema, draft 2020-12."""

MOST_CHARACTERS = 300
MOST_LEVELS = 8

PLAIN = {
    "str": {"type": "string"},
    "string": {"type": "string"},
    "int": {"type": "integer"},
    "integer": {"type": "integer"},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "boolean": {"type": "boolean"},
    "none": {"type": "null"},
    "nonetype": {"type": "null"},
    "null": {"type": "null"},
}
LISTS = {"list", "array", "sequence", "iterable", "collection", "set", "frozenset", "tuple"}
"""JSON has one kind of list for all of them."""
OBJECTS = {"dict", "dictionary", "mapping", "object"}
ANYTHING = {"any", "callable"}
"""`Callable`: JSON has no functions, so a gold call may write one in any form."""

_TOKEN = re.compile(r"\s*(?:([A-Za-z_][A-Za-z0-9_.]*)|(\.\.\.|[\[\],|]))")
_REMARK = re.compile(r"optional$|required$|default\b")
_OPTIONAL_IN_BRACKETS = re.compile(r"\s*\(\s*optional\s*\)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ParameterType:
    """What a parameter's type says."""

    schema: Mapping[str, Any]
    """Empty if any value fits. Shared between callers: never change it."""
    is_optional: bool = False
    """Whether the argument may be omitted."""
    unknown: tuple[str, ...] = ()
    """Unknown words; the whole text if it is not a type at all."""


@lru_cache(maxsize=4096)
def parse(text: str) -> ParameterType:
    """What a type says; never raises.

    >>> parse("List[int], optional").schema
    {'type': 'array', 'items': {'type': 'integer'}}
    >>> parse("int, optional").is_optional, parse("np.ndarray").unknown
    (True, ('np.ndarray',))
    """
    body, is_optional = _OPTIONAL_IN_BRACKETS.subn("", text[:MOST_CHARACTERS])
    if len(text) > MOST_CHARACTERS or not body.strip():
        return ParameterType({}, bool(is_optional), (text,))
    first, *remarks = _parts(body)
    words = [remark.strip().lower() for remark in remarks]
    is_optional = bool(is_optional) or "optional" in words
    try:
        if not all(_REMARK.match(word) for word in words):
            raise _NoTypeError
        parser = _Parser(first)
        schema = parser.union(MOST_LEVELS)
        parser.expect("")
    except _NoTypeError:
        return ParameterType({}, is_optional, (text,))
    is_optional = is_optional or parser.first.lower().removeprefix("typing.") == "optional"
    return ParameterType(schema, is_optional, tuple(parser.unknown))


def required(parameters: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The parameters that have no default and are not optional, in order."""
    return [
        name
        for name, definition in parameters.items()
        if "default" not in definition and not parse(definition["type"]).is_optional
    ]


def parameters_schema(parameters: Mapping[str, Mapping[str, Any]]) -> Schema:
    """JSON Schema for the arguments of a tool's call, with descriptions and defaults, as OpenAI's `parameters`."""
    properties = {}
    for name, definition in parameters.items():
        schema: Schema = {**parse(definition["type"]).schema}
        if definition["description"]:
            schema["description"] = definition["description"]
        if "default" in definition:
            schema["default"] = definition["default"]
        properties[name] = schema
    return {"type": "object", "properties": properties, "required": required(parameters)}


def function_schema(tool: Mapping[str, Any]) -> Schema:
    """A row's tool in OpenAI's form, which chat templates take."""
    return {
        "type": "function",
        "function": {
            "name": tool["name"],
            "description": tool["description"],
            "parameters": parameters_schema(tool["parameters"]),
        },
    }


class _NoTypeError(Exception):
    """The text is not a type."""


class _Parser:
    """Reads one union from left to right."""

    def __init__(self, text: str) -> None:
        self.unknown: list[str] = []
        self.tokens: list[str] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                raise _NoTypeError
            self.tokens.append(match[1] or match[2])
            position = match.end()
        self.first = self.tokens[0] if self.tokens else ""
        self.tokens.append("")
        self.position = 0

    @property
    def token(self) -> str:
        """The next token; empty at the end."""
        return self.tokens[self.position]

    def accept(self, token: str) -> bool:
        """Whether the next token is this one, which is then consumed. The end is never consumed."""
        if self.token != token:
            return False
        self.position += 1 if token else 0
        return True

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise _NoTypeError

    def union(self, levels: int) -> Schema:
        members = [self.member(levels)]
        while self.accept("|"):
            members.append(self.member(levels))
        return _any_of(members)

    def member(self, levels: int) -> Schema:
        word = self.token
        if levels == 0 or not (word[:1].isalpha() or word[:1] == "_"):
            raise _NoTypeError
        self.position += 1
        arguments = self.arguments(levels - 1) if self.accept("[") else []
        return self.schema(word, arguments)

    def arguments(self, levels: int) -> list[Schema | None]:
        """The arguments in brackets, up to the closing one; None for `...`."""
        if levels < 0:
            raise _NoTypeError
        found: list[Schema | None] = []
        while True:
            if self.accept("..."):
                found.append(None)
            elif self.accept("["):  # the parameters of a Callable
                if not self.accept("]"):
                    self.arguments(levels - 1)
                found.append({})
            else:
                found.append(self.union(levels))
            if self.accept("]"):
                return found
            self.expect(",")

    def schema(self, word: str, arguments: list[Schema | None]) -> Schema:
        name = word.lower().removeprefix("typing.")
        given = [argument for argument in arguments if argument is not None]
        if name in ANYTHING:
            return {}
        if name == "union" and given:
            return _any_of(given)
        if name == "optional" and len(given) == 1:
            return _any_of([*given, {"type": "null"}])
        if name == "tuple" and arguments and None not in arguments:
            return {"type": "array", "prefixItems": given, "items": False, "minItems": len(given)}
        if name in LISTS and len(given) <= 1:
            return {"type": "array", "items": given[0]} if given and given[0] else {"type": "array"}
        if name in OBJECTS and len(given) in (0, 2):  # keys are strings in JSON, whatever their type
            return {"type": "object", "additionalProperties": given[1]} if given and given[1] else {"type": "object"}
        if name in PLAIN and not arguments:
            return dict(PLAIN[name])
        self.unknown.append(word)
        return {}


def _any_of(members: list[Schema]) -> Schema:
    """The union of schemas; any value if one of them takes any."""
    different = [member for place, member in enumerate(members) if member not in members[:place]]
    if {} in different:
        return {}
    return different[0] if len(different) == 1 else {"anyOf": different}


def _parts(text: str) -> list[str]:
    """A text split at the commas outside brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
