"""A tokenizer's chat template, and conversations rendered with it as transformers does.

What a template does with tools, content, thoughts and dates differs from one to the next, and none declares it. So each
is asked once, by rendering probes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from rrr_core.chat.calls import PROOF_TOOLS, Calls, answering
from rrr_core.chat.dates import on_day
from rrr_core.chat.marks import split_text
from rrr_core.chat.source import AGAIN, ANSWER, ASK, REPLY
from rrr_core.chat.spelling import broken, neutral
from rrr_core.chat.thinking import THOUGHT, ThinkingTemplate
from rrr_core.chat.tools import PROBE, PROBE_NAME, ToolsPlace, as_text, put_tools, tools_of
from rrr_core.episode.calls import CALLS, RESULT_ROLE, calls_from_text, calls_to_text
from rrr_core.errors import ModelError
from rrr_core.hookspecs import Call, Message
from rrr_core.text import one_line


class Template(ThinkingTemplate):
    """A chat template under a user's settings. What it does is found when it is first asked for, and then known."""

    @cached_property
    def for_tools(self) -> Template:
        """The template that renders a conversation with tools: as in transformers, `tool_use` if there is one."""
        if self.settings.name is not None or "tool_use" not in self.sources:
            return self
        return Template(self.tokenizer, replace(self.settings, name="tool_use", day=self.day))

    @cached_property
    def tools_place(self) -> ToolsPlace | None:
        """Where the template shows tools; None if it shows none."""
        places: tuple[tuple[ToolsPlace, Template], ...] = (("argument", self.for_tools), ("system message", self))
        for place, template in places:
            messages, arguments = put_tools(place, PROBE, [ASK])
            if PROBE_NAME in (template._tried(messages, **arguments) or ""):
                return place
        return None

    @cached_property
    def calls(self) -> Calls:
        """What the template does with calls of tools."""
        place = self.tools_place
        template = self.for_tools if place == "argument" else self

        def tried(messages: Sequence[dict[str, Any]], generation: bool) -> str | None:
            if place is None:
                return None
            shown, arguments = put_tools(place, PROOF_TOOLS, messages)
            return template._tried(shown, generation=generation, **arguments)

        return Calls(tried, self._tokens, self.marks is not None and self.marks.is_channels)

    @cached_property
    def _tokens(self) -> frozenset[str]:
        """Tokens that are no text: special, or written around messages."""
        added = self.tokenizer.added_tokens_decoder.values()
        return self.turn_tokens | {token.content for token in added if token.special and token.content.strip()}

    def without_tokens(self, text: str) -> str:
        """A text without the special tokens spelled in it."""
        for token in sorted(self._tokens, key=len, reverse=True):
            text = text.replace(token, "")
        return text

    @cached_property
    def turn_tokens(self) -> frozenset[str]:
        """Added tokens that the template writes around messages, though the tokenizer may not call them special.

        DeepSeek's `<｜User｜>` is such a token: spelled in a row, it would be the real one.
        """
        text = self._tried([ASK, REPLY, AGAIN]) or self._tried([ASK]) or ""
        own = () if self.marks is None else (self.marks.open, self.marks.close)
        return frozenset(
            token
            for token in self.tokenizer.get_added_vocab()
            if token in text and token not in own and re.search(r"[<>\[\]|｜]", token)
        )

    def neutral(self, text: str) -> str:
        """A text from elsewhere with every spelling of a control token broken; see `rrr_core.chat.spelling`."""
        return neutral(self.tokenizer, text, self.turn_tokens)

    @cached_property
    def writes_date(self) -> bool:
        """Whether what the template writes depends on the day."""
        if on_day(self.source, self.day) != self.source:
            other = Template(self.tokenizer, replace(self.settings, day=self.day - timedelta(days=4000)))
            probes = ([ASK], [{"role": "system", "content": "."}, ASK])
            if any(self._tried(probe) != other._tried(probe) for probe in probes):
                return True
        return self.for_tools is not self and self.for_tools.writes_date

    def extends_calls(self, has_thought: bool, has_text: bool, then: str) -> bool:
        """The same of a reply with calls, after a text or none, when it is a tool or the user that speaks then."""
        if self.settings.keep_thoughts:
            return True
        key = has_thought, has_text, then
        if key not in self._extending:
            reply = self._reply_with(THOUGHT if has_thought else "", ANSWER if has_text else "")
            role = self._speaker(then)
            self._extending[key] = self.calls.extends(reply, THOUGHT if has_thought else "", role)
        return self._extending[key]

    @cached_property
    def _extending(self) -> dict[tuple[bool, bool, str], bool]:
        return {}

    def _speaker(self, role: str) -> str:
        """Who a template takes a message from: what calls led to is said by the user, if it has no role for it."""
        return "user" if role == RESULT_ROLE and not self.calls.shows_results else role

    def after_calls(self, conversation: Sequence[Message], place: int, calls: Sequence[Call]) -> tuple[str, str]:
        """A marker, and what the template writes after calls in the assistant's message at `place`.

        The calls' own text is not rendered: the last one's only argument is the marker.
        """
        marker = self._marker(conversation)
        reply = {"role": "assistant", "content": "", CALLS: calls_to_text([Call(calls[-1].name, {"text": marker})])}
        text = self._of(conversation)._rendered([*conversation[:place], reply, *conversation[place + 1 :]])
        following = self.calls.after(text, marker)
        if text.count(marker) != 1 or following is None:
            raise ModelError("The model's chat template shows no end of a call: a conversation cannot go on from one.")
        return marker, following

    def render(self, conversation: Sequence[Message]) -> str:
        """The text of a conversation, up to where the assistant writes.

        Tools at the beginning go where the template has its place for them. Raises ModelError if there is no template,
        it has no place for tools, or it refuses the conversation; DataError if the tools are not function schemas.
        """
        template = self._of(conversation)
        if not self.settings.keep_thoughts or not any(message["role"] == "assistant" for message in conversation):
            return template._rendered(conversation)
        text = ""
        for place, message in enumerate(conversation):
            if message["role"] == "assistant":
                start = text or template._rendered(conversation[:place])
                thought, answer = (template.neutral(message.get(key, "")) for key in ("thought", "content"))
                if CALLS in message:
                    calls = self._neutral_calls(message)
                    _, following = self.after_calls(conversation[: place + 2], place, calls)
                    text = start + self._written_calls(thought, answer, calls) + following
                    continue
                marker, shown = self.marked(conversation[: place + 2], place)
                text = start + template.written(thought, answer) + template.as_sampled(shown.partition(marker)[2])
        return text

    def _written_calls(self, thought: str, answer: str, calls: Sequence[Call]) -> str:
        """A reply with calls as the model would write it after the prompt."""
        if self.calls.is_channels:
            text = self.calls.message_of(self._reply_with(THOUGHT if thought else "", ""), calls)
            return text.replace(THOUGHT, thought, 1)
        markup = self.calls.written(calls)
        return self.written(thought, answer) + (markup if answer else markup.lstrip())

    def _neutral_calls(self, message: Message) -> tuple[Call, ...]:
        """A message's calls, with every spelling of a control token in them broken."""
        return tuple(
            Call(self.neutral(call.name), _each_text(call.arguments, self.neutral))
            for call in calls_from_text(message[CALLS])
        )

    def marked(self, conversation: Sequence[Message], place: int) -> tuple[str, str]:
        """A marker, and the conversation's text with the assistant's message at `place` replaced by the marker alone.

        Raises ModelError unless the template shows the reply exactly once.
        """
        marker = self._marker(conversation)
        reply = {"role": "assistant", "content": marker}
        text = self._of(conversation)._rendered([*conversation[:place], reply, *conversation[place + 1 :]])
        if text.count(marker) != 1:
            raise ModelError(
                f"The model's chat template shows an assistant's reply {text.count(marker)} times instead of once:"
                " a conversation cannot be continued with it."
            )
        return marker, text

    def _marker(self, conversation: Sequence[Message]) -> str:
        """A word that neither the conversation nor the template has."""
        tools, spoken = tools_of(conversation)
        written = "".join([as_text(tools), *(text for message in spoken for text in message.values())])
        number = 0
        while (marker := f"reply{number}here") in written or marker in str(self.tokenizer.chat_template):
            number += 1
        return marker

    def shape(self, message: Message) -> dict[str, Any]:
        """A message as the template takes it: its thought in the field the template reads, its content as it wants.

        Where the template drops thoughts, marks that an answer spells are broken: such a template looks for a thought
        in the content, and would cut the answer there. A thought that a row's own message holds stays.
        """
        shaped: dict[str, Any] = {key: value for key, value in message.items() if key not in ("thought", CALLS)}
        content, thought = self.neutral(message["content"]), self.neutral(message.get("thought", ""))
        if message["role"] == "assistant" and self._looks_for_marks and (thought or not self._holds_thought(content)):
            content = self._without_marks(content)
        if thought:
            if CALLS in message and self.calls.is_channels:  # gpt-oss refuses a text beside a thought and calls
                thought, content = "\n\n".join(filter(None, [thought, content])), ""
            if self.thought_form is not None:
                shaped[self.thought_form] = thought
            elif self.keeps_thoughts:
                content = self._in_content(thought, content)
        if message["role"] == RESULT_ROLE:
            shaped["role"] = self._speaker(RESULT_ROLE)
            content = broken(content, self._result_tokens)
        if CALLS in message:
            calls = self._neutral_calls(message)
            if self.calls.form is None:  # written by another model
                content = "\n".join(filter(None, [content, calls_to_text(calls)]))
            else:
                shaped = self.calls.message(shaped, calls)
        shaped["content"] = self._content(content)
        return shaped

    @cached_property
    def _result_tokens(self) -> frozenset[str]:
        """Added tokens that the template writes around what calls led to, such as Qwen's `<tool_response>`."""
        return frozenset(token for token in self.tokenizer.get_added_vocab() if token in self.calls.around_result)

    @property
    def _looks_for_marks(self) -> bool:
        return not self.keeps_thoughts and self.marks is not None and not self.marks.is_channels

    def _holds_thought(self, content: str) -> bool:
        """Whether a row's own message holds a thought in marks, opened by the message or by its prompt."""
        return split_text(content, self.marks and replace(self.marks, is_opened=False)).answer != content

    def _without_marks(self, text: str) -> str:
        return text if self.marks is None else broken(text, (self.marks.open, self.marks.close))

    def _of(self, conversation: Sequence[Message]) -> Template:
        """The template that renders a conversation."""
        has_tools = bool(tools_of(conversation)[0])
        return self.for_tools if has_tools and self.tools_place == "argument" else self

    def shaped(self, conversation: Sequence[Message]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """A conversation's messages as the template takes them, and the extra arguments that show its tools.

        Raises ModelError for tools that it has no place for, and DataError for invalid ones.
        """
        tools, spoken = tools_of(conversation)
        messages = answering([self.shape(message) for message in spoken])
        if not tools:
            return messages, {}
        place = self.tools_place
        if place is None:
            raise ModelError(
                "The model's chat template has no place for tools, and the prompt begins with some: use another"
                " model, or have the plugin write them into the text where model.takes_tools is false."
            )
        return put_tools(place, json.loads(self.neutral(as_text(tools))), messages)

    def _rendered(self, conversation: Sequence[Message]) -> str:
        messages, arguments = self.shaped(conversation)
        try:
            return self._apply(messages, **arguments)
        except Exception as error:  # templates are foreign programs: jinja's errors, and those of anything they call
            roles = ", ".join(message["role"] for message in messages)
            raise ModelError(
                f"The model's chat template refuses a conversation of {roles}: {one_line(error)}"
            ) from error


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with each text in it changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(key): _each_text(inner, change) for key, inner in value.items()}
    return [_each_text(inner, change) for inner in value] if isinstance(value, list) else value
