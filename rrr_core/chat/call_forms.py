"""The form in which a model's family writes calls of tools, and texts in it read.

A form is learned from what the chat template writes for calls that are known (`learn`). Four kinds cover what families
write: an object with name and arguments (Qwen, Llama 3, Mistral), a name before an object of arguments (gpt-oss,
DeepSeek), a name before parameters as bare text (Qwen3.5, GLM-4, Nemotron), or before parameters in a notation of the
family's own (Gemma 4, LFM2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rrr_core.chat.call_values import Malformed, made_call, read_json, read_own, typed
from rrr_core.hookspecs import Call

Kind = Literal["object", "named object", "texts", "own notation"]
Tools = Sequence[Mapping[str, Any]]
Write = Callable[[Sequence[Call]], str | None]
"""What the template writes for calls, after the reply's text and before the end of the turn; None if it refuses."""

_NAMES = "firstnamehere", "secondnamehere"
_KEYS = "firstkeyhere", "secondkeyhere"
_VALUES = "firstvaluehere", "secondvaluehere"
_ARGUMENTS = dict(zip(_KEYS, _VALUES, strict=True))
_NUMBER = 904117
_NAME = r"""(?P<name>[^\s<>"'(){}\[\]=,]{1,256}?)"""
_KEY = r"""(?P<key>[^\s<>"'(){}\[\]=,]{1,256}?)"""


@dataclass(frozen=True, slots=True)
class CallForm:
    """How calls are written: `open`, a call, `joint` between calls, `close`. White space may differ, except at values.

    Of parameters, `close` and `joint` follow the last value; after a call without any stand `empty_close` and
    `empty_joint`.
    """

    kind: Kind
    open: str
    """Up to the object, or to the name."""
    close: str
    joint: str | None
    """From one call to the next; None where a reply has one call at most."""
    keys: tuple[str, str] = ("", "")
    """The keys of name and arguments, if a call is an object."""
    extra_keys: frozenset[str] = frozenset()
    """Further keys that the object may have."""
    after_name: str = ""
    """From the name to the arguments, or to the first parameter's name."""
    before_value: str = ""
    """From a parameter's name to its value."""
    before_key: str = ""
    """From a value to the next parameter's name."""
    quote: str = ""
    """What stands around a text, in a notation of the family's own."""
    has_escapes: bool = False
    """Whether such a text has a backslash before its quotes."""
    empty_close: str = ""
    empty_joint: str | None = None

    def read(self, text: str, tools: Tools) -> tuple[str, tuple[Call, ...]] | None:
        """The text before the calls, and the calls; None if there are none, or if any of it is malformed.

        Calls end a reply. The tools say which values are texts, where the form does not.
        """
        opening = _loose(self.open).pattern
        # Not searched from white space: from each place in a long run of it, all the rest would be looked at.
        start = re.search(opening.removeprefix(r"\s*"), text) if self.open.strip() else re.match(opening, text)
        if start is None:
            return None
        place, calls, end = start.end(), [], len(text.rstrip())
        try:
            while True:
                call, place, is_last = self._call(text, place, tools)
                calls.append(call)
                if is_last:
                    break
        except Malformed:
            return None
        return None if text[place:end].strip() else (text[: start.start()].strip(), tuple(calls))

    def closing(self, text: str) -> str | None:
        """What follows the calls, in a text that begins right after a last argument that is a text."""
        ends = {"object": r"\"\}[^{}]*\}", "named object": r"\"\}"}.get(self.kind, re.escape(self.quote))
        found = _match(ends + _loose(self.close).pattern, text, 0)
        return None if found is None else text[found.end() :]

    def _call(self, text: str, place: int, tools: Tools) -> tuple[Call, int, bool]:
        """A call that begins at `place`, where it and what follows it end, and whether it is the last."""
        if self.kind == "object":
            found, place = read_json(text, place)
            name, arguments = (found.get(key) for key in self.keys)
            if not set(found) <= {*self.keys, *self.extra_keys}:
                raise Malformed
            return made_call(name, arguments), *self._after(text, place, self.joint, self.close)
        head = _match(_NAME + _loose(self.after_name, exact_end=self.kind != "named object").pattern, text, place)
        if self.kind == "named object":
            if head is None:
                raise Malformed
            arguments, place = read_json(text, head.end())
            return made_call(head["name"], arguments), *self._after(text, place, self.joint, self.close)
        head = _match(_NAME + _loose(self.after_name).pattern + _KEY + self._value_start, text, place)
        if head is None:
            name = _match(_NAME + self._either(self.empty_joint, self.empty_close), text, place)
            if name is None:
                raise Malformed
            return Call(name["name"], {}), name.end(), name["joint"] is None
        return self._parameters(text, head, tools)

    def _parameters(self, text: str, head: re.Match[str], tools: Tools) -> tuple[Call, int, bool]:
        arguments: dict[str, Any] = {}
        types = types_of(tools, head["name"])
        key, place = head["key"], head.end()
        following = re.compile(
            f"(?:{_loose(self.before_key, exact_start=True).pattern}{_KEY}{self._value_start})"
            f"|{self._either(self.joint, self.close, exact_start=True)}"
        )
        while True:
            if self.kind == "texts":
                found = following.search(text, place)
                if found is None:
                    raise Malformed
                value: Any = typed(text[place : found.start()], types.get(key))
            else:
                value, found = read_own(text, place, self.quote, self.has_escapes, following)
            if key in arguments:
                raise Malformed
            arguments[key] = value
            if found["key"] is None:
                return made_call(head["name"], arguments), found.end(), found["joint"] is None
            key, place = found["key"], found.end()

    @property
    def _value_start(self) -> str:
        return _loose(self.before_value, exact_end=True).pattern

    def _after(self, text: str, place: int, joint: str | None, close: str) -> tuple[int, bool]:
        found = _match(self._either(joint, close), text, place)
        if found is None:
            raise Malformed
        return found.end(), found["joint"] is None

    def _either(self, joint: str | None, close: str, exact_start: bool = False) -> str:
        joined = r"(?!)" if joint is None else _loose(joint, exact_start=exact_start).pattern
        return f"(?:(?P<joint>{joined})|{_loose(close, exact_start=exact_start).pattern})"


def learn(write: Write) -> CallForm | None:
    """The form in which `write` writes calls; None if it is none of those known here."""
    one = write([Call(_NAMES[0], _ARGUMENTS)])
    if one is None or one.count(_VALUES[0]) != 1:
        return None
    two = write([Call(name, _ARGUMENTS) for name in _NAMES])
    return _objects(one, two) or _parameters(one, two, write)


def _objects(one: str, two: str | None) -> CallForm | None:
    """The form of text that holds the arguments as JSON."""
    for start in (each.start() for each in re.finditer(r"\{", one)):
        try:
            found, end = read_json(one, start)
        except Malformed:
            continue
        names = [key for key, value in found.items() if value == _NAMES[0]]
        given = [key for key, value in found.items() if value == _ARGUMENTS]
        if names and given:
            keys = names[0], given[0]
            return CallForm(
                "object",
                one[:start],
                one[end:],
                _joint(two, one[:start], one[end:]),
                keys,
                frozenset({*found, "id"} - {*keys}),
            )
        if found == _ARGUMENTS and _NAMES[0] in one[:start]:
            opening, _, after_name = one[:start].rpartition(_NAMES[0])
            joint = _joint(two, opening, one[end:], len(_NAMES[0] + after_name), _NAMES[1])
            return CallForm("named object", opening, one[end:], joint, after_name=after_name)
    return None


def _joint(two: str | None, opening: str, close: str, skip: int = 0, name: str = "{") -> str | None:
    """What stands between two calls; None if the template does not write the second."""
    if two is None or not two.startswith(opening) or _NAMES[1] not in two:
        return None
    try:
        _, first = read_json(two, len(opening) + skip)
    except Malformed:
        return None
    second = two.find(name, first)
    return two[first:second] if second >= first and two.endswith(close) else None


def _parameters(one: str, two: str | None, write: Write) -> CallForm | None:
    parts = _split(one, (_NAMES[0], _KEYS[0], _VALUES[0], _KEYS[1], _VALUES[1]))
    empty, number = write([Call(_NAMES[0], {})]), write([Call(_NAMES[0], {_KEYS[0]: _NUMBER})])
    numbered = _split(number or "", (_KEYS[0], str(_NUMBER)))
    if parts is None or empty is None or numbered is None or _NAMES[0] not in empty or parts[2] != parts[4]:
        return None
    opening, after_name, before_value, before_key, _, close = parts
    quote = before_value.removeprefix(numbered[1]) if before_value.startswith(numbered[1]) else ""
    if quote and not (before_key.startswith(quote) and close.startswith(quote)):
        return None
    pair = _split(two or "", (_VALUES[1], _NAMES[1], _KEYS[0]))
    quoted = write([Call(_NAMES[0], {_KEYS[0]: f"it{quote}s"})]) if quote else None
    empties = write([Call(name, {}) for name in _NAMES]) if pair else None
    between = _split(empties or "", _NAMES)
    return CallForm(
        "own notation" if quote else "texts",
        opening,
        close.removeprefix(quote),
        pair[1].removeprefix(quote) if pair and between else None,
        after_name=after_name,
        before_value=numbered[1],
        before_key=before_key.removeprefix(quote),
        quote=quote,
        has_escapes=quoted is not None and f"it\\{quote}s" in quoted,
        empty_close=empty.partition(_NAMES[0])[2],
        empty_joint=between[1] if pair and between else None,
    )


def _split(text: str, words: Sequence[str]) -> list[str] | None:
    """What stands before, between and after the words, in their order; None if one is missing."""
    parts = []
    for word in words:
        before, found, text = text.partition(word)
        if not found:
            return None
        parts.append(before)
    return [*parts, text]


def types_of(tools: Tools, name: str) -> Mapping[str, Any]:
    """Parameter → its schema, of the tool of that name."""
    for tool in tools:
        if tool["function"]["name"] == name:
            properties = tool["function"]["parameters"].get("properties")
            return properties if isinstance(properties, Mapping) else {}
    return {}


def _match(pattern: str, text: str, place: int) -> re.Match[str] | None:
    return re.compile(pattern).match(text, place)


def _loose(literal: str, exact_start: bool = False, exact_end: bool = False) -> re.Pattern[str]:
    """Matches a text with other white space in it; where it is exact, its own or none."""
    words = literal.split()
    if not words:
        return re.compile(f"(?:{re.escape(literal)})?" if exact_start or exact_end else r"\s*")
    before = literal[: len(literal) - len(literal.lstrip())]
    after = literal[len(literal.rstrip()) :]
    return re.compile(
        (f"(?:{re.escape(before)})?" if exact_start else r"\s*")
        + r"\s*".join(map(re.escape, words))
        + (f"(?:{re.escape(after)})?" if exact_end else r"\s*")
    )
