"""Settings dataclasses and the rules of their fields, for the command line, a TOML file and Python callers alike."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from weakref import WeakKeyDictionary

from rrr_core.errors import RrrError, nearest

Kind = Literal["whole number", "number", "text", "switch", "list", "mapping"]
Built = TypeVar("Built")


class BadValue(ValueError):
    """A value that a setting does not accept. The message says what was expected; the caller adds its place."""


@dataclass(frozen=True)
class Setting:
    """One field of a settings dataclass, as the command line and the TOML file see it."""

    field: str
    """Name in the dataclass, such as `with_`."""
    key: str
    """Name in the file, such as `with`."""
    kind: Kind
    optional: bool
    default: Any
    help: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...] | None
    further: Callable[[], Iterable[str]] | None = None
    """Returns more choices; called only for a value that is not among `choices`."""
    or_one: bool = False
    """Whether a file may give a single text in place of a list."""

    def from_text(self, text: str) -> Any:
        """The value of a text from the command line: for a list one item, for a mapping one pair.

        Raises BadValue.
        """
        match self.kind:
            case "whole number":
                return self._in_range(_parse(int, text, "a whole number"))
            case "number":
                return self._in_range(_parse(float, text, "a number"))
            case "mapping":
                key, equals, value = text.partition("=")
                if not equals or not key:
                    raise BadValue(f"expected KEY=VALUE, not {text!r}.")
                return key, value
            case _:
                return self._chosen(text)

    def from_toml(self, value: Any) -> Any:
        """The value of a TOML value. Raises BadValue if it has the wrong type or is out of range."""
        match self.kind:
            case "number" if isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            case "list" if isinstance(value, list):
                value = tuple(value)
            case "mapping" if isinstance(value, dict):
                value = {key: _as_text(item) for key, item in value.items()}
        return self.checked(value, _IN_TOML)

    def checked(self, value: Any, expected: Mapping[Kind, str] | None = None) -> Any:
        """A value as the field holds it. Raises BadValue for the wrong type, a wrong choice, or one out of range.

        `expected` words each type for where the value comes from.
        """
        match self.kind:
            case _ if value is None and self.optional:
                return None
            case "whole number" if isinstance(value, int) and not isinstance(value, bool):
                return self._in_range(value)
            case "number" if isinstance(value, int | float) and not isinstance(value, bool):
                return self._in_range(value)
            case "text" if isinstance(value, str):
                return self._chosen(value)
            case "switch" if isinstance(value, bool):
                return value
            case "list" if isinstance(value, tuple | list) and all(isinstance(item, str) for item in value):
                return tuple(self._chosen(item) for item in value)
            case "list" if isinstance(value, str) and self.or_one:
                return (self._chosen(value),)
            case "mapping" if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
                return value
        raise BadValue(f"expected {(expected or _IN_PYTHON)[self.kind]}, not {_as_text(value)!r}.")

    def _in_range(self, value: float) -> float:
        if not math.isfinite(value):
            raise BadValue(f"expected a finite number, not {value}.")
        if self.minimum is not None and value < self.minimum:
            raise BadValue(f"must be at least {self.minimum:g}, not {value:g}.")
        if self.maximum is not None and value > self.maximum:
            raise BadValue(f"must be at most {self.maximum:g}, not {value:g}.")
        return value

    def _chosen(self, value: str) -> str:
        if self.choices is None or value in self.choices:
            return value
        known = self.choices if self.further is None else (*self.choices, *self.further())
        if value not in known:
            raise BadValue(f"must be one of {', '.join(known)}, not {value!r}.{nearest(value, known)}")
        return value


_IN_TOML: Mapping[Kind, str] = {
    "whole number": "a whole number",
    "number": "a number",
    "text": "a text",
    "switch": "true or false",
    "list": "a list of texts",
    "mapping": "a table",
}
_IN_PYTHON: Mapping[Kind, str] = {
    **_IN_TOML,
    "switch": "True or False",
    "list": "a tuple of texts",
    "mapping": "a mapping of texts",
}


def _parse(parse: type[Any], text: str, wanted: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        raise BadValue(f"expected {wanted}, not {text!r}.") from None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def settings_of(settings_class: type[Any]) -> tuple[Setting, ...]:
    """The settings of a dataclass, in order. Raises TypeError for a field whose type no option can have."""
    if settings_class not in _READ:
        hints = typing.get_type_hints(settings_class)
        _READ[settings_class] = tuple(
            _setting(field, hints[field.name]) for field in dataclasses.fields(settings_class)
        )
    return _READ[settings_class]


_READ: MutableMapping[type[Any], tuple[Setting, ...]] = WeakKeyDictionary()
"""Dataclasses whose settings were read, since every instance checks its values."""


def _setting(field: dataclasses.Field[Any], hint: Any) -> Setting:
    members = (
        typing.get_args(hint)
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
        else (hint,)
    )
    plain = [member for member in members if member is not types.NoneType]
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if len(plain) != 1 or default is dataclasses.MISSING:
        raise TypeError(f"{field.name}: {hint} cannot be an option, or has no default")
    return Setting(
        field=field.name,
        key=field.name.rstrip("_"),
        kind=_kind(plain[0]),
        optional=len(members) > 1,
        default=default,
        help=field.metadata["help"],
        minimum=field.metadata["minimum"],
        maximum=field.metadata["maximum"],
        choices=field.metadata["choices"],
        further=field.metadata["further"],
        or_one=field.metadata["or_one"],
    )


def _kind(hint: Any) -> Kind:
    plain: dict[Any, Kind] = {int: "whole number", float: "number", str: "text", bool: "switch"}
    if hint in plain:
        return plain[hint]
    if typing.get_origin(hint) is tuple:
        return "list"
    if issubclass(typing.get_origin(hint) or object, Mapping):
        return "mapping"
    raise TypeError(f"{hint} cannot be an option")


class Settings:
    """The base class of settings dataclasses: values that break a field's rule raise RrrError when one is made.

    So whoever makes settings meets the rules, not only the command line and the file. A subclass whose fields have to
    fit together checks that in its own `__post_init__`, after this one.
    """

    def __post_init__(self) -> None:
        for setting in settings_of(type(self)):
            value = getattr(self, setting.field)
            try:
                checked = setting.checked(value)
            except BadValue as error:
                raise RrrError(f"{type(self).__name__}.{setting.field} {error}") from None
            if checked is not value:
                object.__setattr__(self, setting.field, checked)

    def check_given(self, fields: Collection[str]) -> None:
        """Raise RrrError for one of the fields that the user gave which does nothing beside the others.

        Unlike `__post_init__` it does not ask of defaults and of what a task suggests: nobody could leave those out.
        """


def build(settings_class: type[Built], *layers: Mapping[str, Any]) -> Built:
    """Settings built from layers: a later layer overrides an earlier one, and mappings are merged key by key."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            merged[name] = {**merged.get(name, {}), **value} if isinstance(value, Mapping) else value
    return settings_class(**merged)
