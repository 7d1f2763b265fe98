"""A tokenizer's chat template under a user's settings, as a function from messages to text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any

from rrr_core.chat.dates import on_day
from rrr_core.chat.settings import ChatSettings
from rrr_core.chat.switches import check_arguments
from rrr_core.errors import ModelError, nearest
from rrr_core.text import one_line

ASK, AGAIN = ({"role": "user", "content": text} for text in ("firstquestion", "secondquestion"))
ANSWER = "someearlieranswer"
REPLY = {"role": "assistant", "content": ANSWER}


class TemplateSource:
    """A chat template, rendered as transformers does."""

    def __init__(self, tokenizer: Any, settings: ChatSettings | None = None) -> None:
        self.tokenizer, self.settings = tokenizer, settings or ChatSettings()
        self.day = self.settings.day or date.today()  # noqa: DTZ011 - a template writes the user's own date

    @cached_property
    def sources(self) -> Mapping[str, str]:
        """Name → the template's source.

        Raises ModelError if there is none, or none of the wanted name, or none that reads what the user gives it.
        """
        given = self.tokenizer.chat_template
        if not given:
            raise ModelError("The tokenizer has no chat template: use an instruct model, or warm the model up.")
        named = given if isinstance(given, Mapping) else {"default": given}
        wanted = self.settings.name
        if wanted is not None and wanted not in named:
            raise ModelError(
                f"The model has no chat template named {wanted!r}.{nearest(wanted, named)} It has: {', '.join(named)}."
            )
        if wanted is None and "default" not in named:
            raise ModelError(
                f"The model has several chat templates and none named 'default': choose one with --template-name, of"
                f" {', '.join(named)}."
            )
        check_arguments(self.settings.arguments, named.values())
        return named

    @property
    def source(self) -> str:
        """The source that renders a conversation without tools."""
        return self.sources[self.settings.name or "default"]

    @cached_property
    def takes_parts(self) -> bool:
        """Whether the template wants a message's content as a list of parts, rather than as a text."""
        return self._shows_text(parts=False) is False and self._shows_text(parts=True)

    def _apply(self, messages: Sequence[Mapping[str, Any]], *, generation: bool = True, **arguments: Any) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                messages,
                chat_template=on_day(self.source, self.day),
                tokenize=False,
                add_generation_prompt=generation,
                **{**self.settings.arguments, **arguments},
            )
        )

    def _probe(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """The text of a conversation that any chat template should show."""
        try:
            return self._apply([{**message, "content": self._content(message["content"])} for message in messages])
        except Exception as error:  # as in Template
            raise ModelError(f"The model's chat template refuses a conversation: {one_line(error)}") from error

    def _tried(self, messages: Sequence[Mapping[str, Any]], **arguments: Any) -> str | None:
        """A probe's text; None if the template refuses it, in whatever way."""
        try:
            shaped = [{**message, "content": self._content(message["content"])} for message in messages]
            return self._apply(shaped, **arguments)
        except Exception:  # noqa: BLE001 - templates are foreign programs, and a refusal is the probe's result
            return None

    def _content(self, text: str) -> Any:
        return [{"type": "text", "text": text}] if self.takes_parts else text

    def _shows_text(self, parts: bool) -> bool:
        def given(text: str) -> Any:
            return [{"type": "text", "text": text}] if parts else text

        messages = [
            {**ASK, "content": given("1q2")},
            {**REPLY, "content": given("3a4")},
            {**AGAIN, "content": given("5q6")},
        ]
        try:
            text = self._apply(messages)
        except Exception:  # noqa: BLE001 - as in _tried
            return False
        return all(len(re.findall(each, text)) == 1 for each in ("1q2", "3a4", "5q6"))
