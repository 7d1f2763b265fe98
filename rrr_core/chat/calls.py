"""Calls of tools under a chat template: the form that it writes them in, proven on probes, and what follows them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from rrr_core.chat.call_forms import CallForm, learn
from rrr_core.chat.call_values import Malformed, read_json
from rrr_core.chat.marks import MESSAGE
from rrr_core.chat.source import ANSWER, ASK
from rrr_core.hookspecs import Call

RESULT = "someresult"
_AROUND = 40
"""Characters before a result that may be part of what introduces it."""
_RECIPIENT = re.compile(r"\bto=([^\s<]+)")
_PROPERTIES: dict[str, Any] = {
    "code": {"type": "string"},
    "count": {"type": "integer"},
    "flag": {"type": "boolean"},
    "inner": {"type": "object"},
    "list": {"type": "array"},
    "nothing": {"type": ["string", "null"]},
    "text": {"type": "string"},
}
PROOF_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "A probe.",
            "parameters": {"type": "object", "properties": _PROPERTIES},
        },
    }
    for name in ("first_probe", "second_probe")
]
"""Tools that a template is asked to write calls of."""
PROOF = (
    Call("first_probe", {}),
    Call("first_probe", {"text": 'It\'s “Rome”: "a" <b> {c} [d], e=f & \\n é\nsecond line'}),
    Call("first_probe", {"count": -3, "flag": True, "nothing": None}),
    Call("second_probe", {"code": "75", "flag": False, "text": "true"}),
    Call("second_probe", {"inner": {"a": [1, 2.5, "x"], "b": {"c": True}}, "list": ["one", 2, []]}),
)
"""Calls that must come back as they were written, or the form is not used."""

Tried = Callable[[Sequence[dict[str, Any]], bool], str | None]
"""What the template makes of messages, with tools, and where the assistant would begin; None if it refuses them."""


@dataclass(frozen=True)
class Calls:
    """What a chat template does with calls; found when first asked for."""

    tried: Tried
    tokens: frozenset[str]
    """Tokens that the template writes around messages."""
    is_channels: bool
    """Whether thought, answer and calls are messages of their own."""

    @property
    def form(self) -> CallForm | None:
        """The form that the template writes calls in; None if it writes none, or none that can be read back."""
        return self._found[0] if self._found else None

    @property
    def are_texts(self) -> bool:
        """Whether the template takes a call's arguments as JSON text rather than as an object."""
        return self._found is not None and self._found[1]

    @property
    def may_be_several(self) -> bool:
        """Whether one reply may hold several calls."""
        return self._found is not None and self._found[2]

    @cached_property
    def shows_results(self) -> bool:
        """Whether the template has the role `tool`, for what calls led to; if not, the user says it."""
        return self.form is not None and self._result_of([Call("first_probe", {"text": ANSWER})])

    def message(self, reply: Mapping[str, Any], calls: Sequence[Call], as_texts: bool | None = None) -> dict[str, Any]:
        """An assistant's message with its calls, as templates take them."""
        are_texts = self.are_texts if as_texts is None else as_texts
        return {**reply, "tool_calls": tool_calls(calls, are_texts)}

    def read(self, text: str, tools: Sequence[Mapping[str, Any]]) -> tuple[str, tuple[Call, ...]] | None:
        """The text before the calls in a reply, special tokens included, and the calls; None if it has none."""
        found = self.form and self.form.read(text, tools)
        return found if found and (len(found[1]) == 1 or self.may_be_several) else None

    def read_messages(
        self, messages: Sequence[tuple[str, str]], tools: Sequence[Mapping[str, Any]]
    ) -> tuple[Call, ...] | None:
        """The calls among a reply's messages (header, text), of which each is for one recipient; None as `read`."""
        calls: list[Call] = []
        for header, body in messages:
            named = recipient(header)
            if named is None:
                if calls:
                    return None
                continue
            call = self._of_message(named, body, tools)
            if call is None:
                return None
            calls.append(call)
        return tuple(calls) if calls and (len(calls) == 1 or self.may_be_several) else None

    def extends(self, reply: Mapping[str, Any], thought: str, role: str) -> bool:
        """Whether a conversation goes on, with a message of that role, from a reply with calls as it was written.

        `reply` is a probe, with ANSWER as its text, or none, and with that thought.
        """
        prompt = self.tried([ASK], True)
        following = {"role": role, "content": RESULT, "tool_call_id": _id(0), "name": "first_probe"}
        longer = self.tried([ASK, self.message(reply, PROOF[1:2]), following], True)
        if self.form is None or prompt is None or longer is None or not longer.startswith(prompt):
            return False
        written = longer[len(prompt) :]
        opening = "to=" if self.is_channels else self.form.open.strip() or "{"
        before, _, rest = written.partition(opening)
        if ANSWER in reply["content"]:
            before, found, between = before.rpartition(ANSWER)
            if not found or between.strip():
                return False
        return bool(rest) and (thought in before if thought else not before.strip())

    def after(self, text: str, marker: str) -> str | None:
        """What follows the calls in a rendered text whose last call's only argument is the marker."""
        return None if self.form is None else self.form.closing(text.partition(marker)[2])

    def written(self, calls: Sequence[Call]) -> str:
        """Calls as the template writes them after a reply's text, without the end of the turn."""
        return self._written(self.are_texts, calls) or ""

    def message_of(self, reply: Mapping[str, Any], calls: Sequence[Call]) -> str:
        """A last reply with calls as the template writes it after the prompt, without the end of the turn."""
        return self._reply(self.are_texts, calls, reply) or ""

    @cached_property
    def around_result(self) -> str:
        """What the template writes around what calls led to."""
        call, said = PROOF[1:2], {"role": "assistant", "content": ""}
        result = {"role": "tool", "content": RESULT, "tool_call_id": _id(0), "name": call[0].name}
        shown = self.tried([ASK, self.message(said, call), result], True) or ""
        before, _, after = shown.partition(RESULT)
        return before[-_AROUND:] + after if self.shows_results else ""

    def _of_message(self, named: str, body: str, tools: Sequence[Mapping[str, Any]]) -> Call | None:
        form = self.form
        if form is None:
            return None
        if form.kind != "named object":
            found = form.read(body, tools)
            return found[1][0] if found and not found[0] and len(found[1]) == 1 else None
        try:
            arguments, end = read_json(body, 0)
        except Malformed:
            return None
        prefix = form.open.rpartition("to=")[2]
        return None if body[end:].strip() else Call(named.removeprefix(prefix), arguments)

    @cached_property
    def _found(self) -> tuple[CallForm, bool, bool] | None:
        """The form, whether arguments are texts, and whether calls may be several."""
        for as_texts in (False, True):
            form = learn(partial(self._written, as_texts))
            if form is None or not all(self._comes_back(form, as_texts, [call]) for call in PROOF):
                continue
            several = self._comes_back(form, as_texts, PROOF[:2]) and self._comes_back(form, as_texts, PROOF[2:])
            return form, as_texts, several and self._shows_all(as_texts)
        return None

    def _comes_back(self, form: CallForm, as_texts: bool, calls: Sequence[Call]) -> bool:
        """Whether calls are read as they were written."""
        if self.is_channels:
            text = self._reply(as_texts, calls, {"role": "assistant", "content": ""})
            learned = replace(self)
            object.__setattr__(learned, "_found", (form, as_texts, True))
            return text is not None and learned.read_messages(_messages(text), PROOF_TOOLS) == tuple(calls)
        text = self._written(as_texts, calls)
        found = None if text is None else form.read(f"{ANSWER if form.open.strip() else ''}{text}", PROOF_TOOLS)
        return found == (ANSWER if form.open.strip() else "", tuple(calls)) and _same(found[1], calls)

    def _shows_all(self, as_texts: bool) -> bool:
        """Whether one result may follow two calls."""
        return self._result_of(PROOF[:2], as_texts)

    def _result_of(self, calls: Sequence[Call], as_texts: bool | None = None) -> bool:
        result = {"role": "tool", "content": RESULT, "tool_call_id": _id(0), "name": calls[0].name}
        shown = self.tried([ASK, self.message({"role": "assistant", "content": ""}, calls, as_texts), result], True)
        return shown is not None and shown.count(RESULT) == 1

    def _written(self, as_texts: bool, calls: Sequence[Call]) -> str | None:
        """What the template writes for calls, between a reply's text and the end of the turn."""
        for content in ("",) if self.is_channels else (ANSWER, ""):
            text = self._reply(as_texts, calls, {"role": "assistant", "content": content})
            if text is None:
                return None
            if self.is_channels:
                _, _, body = text.partition(MESSAGE)
                return body if calls[0].name in body else text
            _, found, after = text.partition(ANSWER)
            if found and calls[0].name in after:
                return after
        return text if text and text.find(calls[0].name) >= 0 else None

    def _reply(self, as_texts: bool, calls: Sequence[Call], reply: Mapping[str, Any]) -> str | None:
        """A last reply with calls, without its prompt and the end of the turn; None if the template refuses it."""
        text, prompt = self.tried([ASK, self.message(reply, calls, as_texts)], False), self.tried([ASK], True)
        if text is None or prompt is None:
            return None
        if not text.startswith(prompt):
            if not reply["content"]:
                return None
            prompt = text.partition(reply["content"])[0]
        written = text[len(prompt) :]
        after_last = (self.tried([ASK, {**reply, "content": ANSWER}], False) or "").rpartition(ANSWER)[2]
        if after_last.strip() and written.endswith(after_last):
            return written.removesuffix(after_last)
        end = max((token for token in self.tokens if written.rstrip().endswith(token)), key=len, default="")
        return written.rstrip().removesuffix(end)


def tool_calls(calls: Sequence[Call], as_texts: bool) -> list[dict[str, Any]]:
    """The calls in OpenAI's form, numbered; their arguments as JSON text or as objects."""
    return [
        {
            "id": _id(place),
            "type": "function",
            "function": {
                "name": call.name,
                "arguments": json.dumps(call.arguments, ensure_ascii=False) if as_texts else dict(call.arguments),
            },
        }
        for place, call in enumerate(calls)
    ]


def answering(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages as templates and servers take them: what calls led to names the first of them."""
    answered = []
    called: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "tool" and called:
            message = {**message, "tool_call_id": called[0]["id"], "name": called[0]["function"]["name"]}
        called = message.get("tool_calls", called if message["role"] == "tool" else [])
        answered.append(message)
    return answered


def _id(place: int) -> str:
    """The name of a reply's call: nine letters and digits, which is what Mistral's templates take."""
    return f"call{place:05d}"


def recipient(header: str) -> str | None:
    """The tool that a message is for; None if it is for the user, or a thought."""
    found = _RECIPIENT.search(header)
    return None if found is None or found[1] in ("user", "self") else found[1]


def _messages(text: str) -> list[tuple[str, str]]:
    """(Header, text) of each message in channels."""
    parts = re.split(r"(<\|\w+\|>)", text)
    messages, header, body, in_body = [], "", "", False
    for part in parts:
        if part == MESSAGE:
            in_body = True
        elif in_body and re.fullmatch(r"<\|\w+\|>", part):
            messages.append((header, body))
            header, body, in_body = part, "", False
        elif in_body:
            body += part
        else:
            header += part
    return [*messages, (header, body)] if in_body else messages


def _same(found: Sequence[Call], calls: Sequence[Call]) -> bool:
    """Whether their arguments are of the same types, too: 1 is no True."""
    return [json.dumps(each.arguments, sort_keys=True) for each in found] == [
        json.dumps(each.arguments, sort_keys=True) for each in calls
    ]
