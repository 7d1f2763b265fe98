"""The data set's types, written as Python writes them (`List[int]`, `str, optional`), as JSON Schema.

    type      := union, then `?`, `= value` or any number of `, remark`
    remark    := `optional`, `required`, or `default` and its value, which is the rest of the text
    union     := member, then any number of `| member` or `or member`
    member    := `None`, or a name, or a name with `[arguments]`; arguments are unions, `...`, a list of unions, or,
                 in `Literal`, quoted texts and numbers

An argument may be omitted where its type says `optional`, gives a default, or takes `None` at its top: `Optional[str]`,
`str | None` and `Union[str, None]` mean the same. A remark may also be in brackets after the type: `int (default: 1)`.

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
Member: TypeAlias = tuple[Schema, bool]
"""A type's schema, and whether the type says outright that `None` is a value: `Any` does not."""

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
NONES = {name for name, schema in PLAIN.items() if schema == {"type": "null"}}
LISTS = {"list", "array", "sequence", "iterable", "collection", "set", "frozenset", "tuple"}
"""JSON has one kind of list for all of them."""
OBJECTS = {"dict", "dictionary", "mapping", "object"}
ANYTHING = {"any", "callable"}
"""`Callable`: JSON has no functions, so a gold call may write one in any form."""
NULL: Schema = {"type": "null"}

_TOKEN = re.compile(
    r"""\s*(?:([A-Za-z_][A-Za-z0-9_.]*)|(\.\.\.|[\[\],|])|('[^']*'|"[^"]*"|-?[0-9]{1,30}(?:\.[0-9]{1,30})?))"""
)
_REMARK = re.compile(r"optional$|required$|defaults?\b")
_DEFAULT = re.compile(r"(?:defaults?\b|=)(?:\s*(?:to|is)\b)?\s*[=:]?\s*", re.IGNORECASE)
_CONSTANTS = {"None": None, "True": True, "False": False}
_REMARK_IN_BRACKETS = re.compile(r"\s*\(\s*((?:optional|required|defaults?\b).*)\)\s*$", re.IGNORECASE | re.DOTALL)


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
    if len(text) > MOST_CHARACTERS:
        return ParameterType({}, False, (text,))
    body = _REMARK_IN_BRACKETS.sub(r", \1", text)
    first, *remarks = _parts(body)
    is_marked = any(remark.strip().lower() == "optional" for remark in remarks) or first.rstrip().endswith("?")
    default = next((_DEFAULT.sub("", each.strip(), 1) for each in remarks if _DEFAULT.match(each.strip())), None)
    is_optional = is_marked or default is not None
    if not first.strip():
        return ParameterType({}, is_optional, (text,))
    try:
        if not all(_REMARK.match(remark.strip().lower()) or _DEFAULT.match(remark.strip()) for remark in remarks):
            raise _NoTypeError
        parser = _Parser(first.rstrip().removesuffix("?"))
        schema, takes_none = parser.union(MOST_LEVELS)
        parser.expect("")
    except _NoTypeError:
        return ParameterType({}, is_optional, (text,))
    if default is not None and default.strip().lower() in ("none", "null"):
        schema = _any_of([schema, NULL])
    return ParameterType(schema, is_optional or takes_none, tuple(parser.unknown))


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
            self.tokens.append(match[1] or match[2] or match[3])
            position = match.end()
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

    def union(self, levels: int) -> Member:
        members = [self.member(levels)]
        while self.accept("|") or self.accept("or"):
            members.append(self.member(levels))
        return _union_of(members)

    def member(self, levels: int) -> Member:
        word = self.token
        if levels == 0 or not (word[:1].isalpha() or word[:1] == "_"):
            raise _NoTypeError
        self.position += 1
        if not self.accept("["):
            return self.made(word, [])
        name = _plain_name(word)
        if name == "literal":
            return self.literal()
        arguments = self.arguments(levels - 1, only_first=name == "annotated")
        return self.made(word, arguments)

    def literal(self) -> Member:
        """The values of a `Literal`, up to the closing bracket."""
        values: list[Any] = []
        while True:
            token = self.token
            self.position += 1
            if token[:1] in ("'", '"'):
                values.append(token[1:-1])
            elif token in _CONSTANTS:
                values.append(_CONSTANTS[token])
            elif token[:1].isdigit() or token[:1] == "-":
                values.append(float(token) if "." in token else int(token))
            else:
                raise _NoTypeError
            if self.accept("]"):
                return {"enum": values}, None in values
            self.expect(",")

    def arguments(self, levels: int, only_first: bool = False) -> list[Member | None]:
        """The arguments in brackets, up to the closing one; None for `...`.

        `only_first` is for `Annotated`, whose others are no types: they are skipped.
        """
        if levels < 0:
            raise _NoTypeError
        found: list[Member | None] = []
        while True:
            if self.accept("..."):
                found.append(None)
            elif self.accept("["):  # the parameters of a Callable
                if not self.accept("]"):
                    self.arguments(levels - 1)
                found.append(({}, False))
            elif only_first and found and self.token[:1] in ("'", '"'):
                self.position += 1
            else:
                found.append(self.union(levels))
            if self.accept("]"):
                return found
            self.expect(",")

    def made(self, word: str, arguments: list[Member | None]) -> Member:
        """What a name with its arguments says."""
        name = _plain_name(word)
        members = [argument for argument in arguments if argument is not None]
        if name == "union" and members:
            return _union_of(members)
        if name == "optional" and len(members) == 1:
            return _union_of([*members, (NULL, True)])
        if name == "annotated" and members:
            return members[0]
        return self.schema(word, arguments), name in NONES and not arguments

    def schema(self, word: str, arguments: list[Member | None]) -> Schema:
        name = _plain_name(word)
        given = [argument[0] for argument in arguments if argument is not None]
        if name in ANYTHING:
            return {}
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


def _plain_name(word: str) -> str:
    return word.lower().removeprefix("typing.")


def _union_of(members: list[Member]) -> Member:
    return _any_of([schema for schema, _ in members]), any(takes_none for _, takes_none in members)


def _any_of(members: list[Schema]) -> Schema:
    """The union of schemas; any value if one of them takes any."""
    different = [member for place, member in enumerate(members) if member not in members[:place]]
    if {} in different:
        return {}
    return different[0] if len(different) == 1 else {"anyOf": different}


def _parts(text: str) -> list[str]:
    """A text split at the commas outside brackets; what follows a default is its value, commas and all.

    >>> _parts("List[int], default=[1, 2], or so"), _parts("str = 'a, b'")
    (['List[int]', ' default=[1, 2], or so'], ['str ', "= 'a, b'"])
    """
    parts, depth = [""], 0
    for place, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if depth == 0 and letter in ",=":
            rest = text[place:].removeprefix(",")
            if _DEFAULT.match(rest.lstrip()):
                return [*parts, rest]
            if letter == ",":
                parts.append("")
                continue
        parts[-1] += letter
    return parts
