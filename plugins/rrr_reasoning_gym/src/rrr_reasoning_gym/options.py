"""`--data KEY=VALUE` as a data set's configuration: its own fields, parsed by type."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rrr_core import DataOption
from rrr_core.errors import DataError
from rrr_core.row_files import require_known
from rrr_reasoning_gym import upstream

DEFAULTS = {"seed": "0", "size": "10000"}
"""Upstream defaults to a random seed and 500."""
_TRUTH = {"true": True, "false": False}


def configured(dataset: str, options: Mapping[str, str]) -> Any:
    """A data set with the user's options. Raises DataError if one is unknown, malformed or not allowed."""
    data, configuration = upstream.classes(dataset)
    kinds = typing.get_type_hints(configuration)
    known = [field.name for field in dataclasses.fields(configuration)]
    require_known(f"reasoning-gym.{dataset}", options, known)
    values = {name: _option(name, text, kinds[name]) for name, text in {**DEFAULTS, **options}.items()}
    try:
        if values["size"] < 1 or values["seed"] is None:
            raise ValueError("size must be at least 1, and seed a number")
        return data(configuration(**values))
    except (AssertionError, ValueError, TypeError) as error:
        if not options:
            raise
        given = " ".join(f"{name}={text}" for name, text in options.items())
        raise DataError(f"--data {given}: reasoning-gym.{dataset} does not take this: {error}") from error


def declared(dataset: str) -> Iterator[DataOption]:
    """The data set's options; what has no text form has no default here."""
    configuration = upstream.classes(dataset)[1]
    kinds = typing.get_type_hints(configuration)
    for field in dataclasses.fields(configuration):
        default = DEFAULTS.get(field.name) or _text_of(_default(field), kinds[field.name])
        yield DataOption(field.name, expected(kinds[field.name]), default=default)


def differing(dataset: str, options: Mapping[str, str]) -> dict[str, str]:
    """The options that change the puzzles, besides which of them are made: not those that repeat a default."""
    configuration = upstream.classes(dataset)[1]
    kinds = typing.get_type_hints(configuration)
    defaults = {field.name: _default(field) for field in dataclasses.fields(configuration)}
    return {
        name: text
        for name, text in options.items()
        if name not in DEFAULTS and parse(text, kinds[name]) != defaults[name]
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _text_of(value: Any, kind: Any) -> str:
    """The text that `parse` reads as a value; empty if there is none."""
    if isinstance(value, enum.Enum):
        text = str(value.value)
    elif isinstance(value, (datetime.date, datetime.time)):
        text = value.isoformat()
    elif value is None or isinstance(value, str):
        text = value or ("none" if value is None else "")
    else:
        try:
            text = json.dumps(value, default=lambda each: each.value if isinstance(each, enum.Enum) else each)
        except (TypeError, ValueError):
            return ""
    try:
        return text if parse(text, kind) == value else ""
    except (ValueError, TypeError):
        return ""


def _option(name: str, text: str, kind: Any) -> Any:
    try:
        return parse(text, kind)
    except (ValueError, RecursionError):
        raise DataError(f"--data {name}={text[:100]}: {expected(kind)} is expected.") from None


def parse(text: str, kind: Any) -> Any:
    """`text` as a value of the type `kind`. Raises ValueError if it is not one, or the type has no text form."""
    if kind is str:
        return text
    if kind in (int, float, bool):
        return typed(_TRUTH[text] if kind is bool and text in _TRUTH else json.loads(text), kind)
    if kind in (datetime.date, datetime.time):
        return kind.fromisoformat(text)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _member(text, kind)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (present,) = (each for each in inner if each is not type(None))
        return None if text == "none" else parse(text, present)
    if origin is typing.Literal:
        if text not in inner:
            raise ValueError(text)
        return text
    return typed(json.loads(text), kind)


def typed(value: Any, kind: Any) -> Any:
    """A value read from JSON as one of the type `kind`. Raises ValueError if it has another type."""
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if kind is float and type(value) in (int, float):
        return float(value)
    if kind in (int, str, bool) and type(value) is kind:
        return value
    if isinstance(kind, type) and issubclass(kind, enum.Enum) and isinstance(value, str):
        return _member(value, kind)
    if isinstance(value, list) and origin in (list, tuple, Sequence):
        if origin is tuple and len(inner) > 1 and inner[-1] is not Ellipsis:
            return tuple(typed(each, part) for each, part in zip(value, inner, strict=True))
        items = [typed(each, inner[0]) if inner else each for each in value]
        return tuple(items) if origin is tuple else items
    raise ValueError(f"not {expected(kind)}")


def _member(text: str, kind: type[enum.Enum]) -> enum.Enum:
    for member in kind:
        if text in (member.name, member.value):
            return member
    raise ValueError(f"no member of {kind.__name__}")


def expected(kind: Any) -> str:
    """What a user may write for a type, in words."""
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    words: dict[Any, str] = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "a text",
        datetime.date: "a date such as 2026-01-31",
        datetime.time: "a time such as 23:59",
    }
    if kind in words:
        return words[kind]
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("none" if each is type(None) else expected(each) for each in inner)
    if origin is typing.Literal:
        return f"one of {', '.join(inner)}"
    if origin in (list, tuple, Sequence):
        return "a list in JSON such as [1, 2]"
    return f"nothing that can be written here (a {getattr(kind, '__name__', kind)})"
