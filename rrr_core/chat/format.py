"""Conversations as token ids under a model's chat template, and sampled ids as thought and answer.

Sampled ids are never decoded and encoded again where the template lets a conversation go on from them. Only text from
elsewhere is encoded: rows, prompts, attempts read back from a file, and what a template rewrites in earlier turns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from rrr_core.chat.calls import recipient
from rrr_core.chat.marks import Parts, answer_with_tokens, messages_in, split_ids
from rrr_core.chat.rendering import Template
from rrr_core.chat.settings import ChatSettings
from rrr_core.chat.tools import tools_of
from rrr_core.episode import Generation
from rrr_core.errors import ModelError
from rrr_core.hookspecs import Call, Message


class ChatFormat:
    """What a tokenizer and its chat template decide, in one place; every engine and every stage asks it."""

    def __init__(self, tokenizer: Any, settings: ChatSettings | None = None) -> None:
        self.tokenizer = tokenizer
        self.template = Template(tokenizer, settings)

    def encode_prompt(self, conversation: Sequence[Message]) -> list[int]:
        """The ids of a conversation that ends with a user message, up to where the assistant writes."""
        return self.encode_prompts([conversation])[0]

    def encode_prompts(self, conversations: Sequence[Sequence[Message]]) -> list[list[int]]:
        """`encode_prompt` of each conversation. A tokenizer is much faster on many texts at once."""
        if not conversations:
            return []
        texts = [self.template.render(conversation) for conversation in conversations]
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def continuation_ids(
        self,
        conversation: Sequence[Message],
        reply_message: str | Message,
        sampled_ids: Sequence[int],
        ended: bool,
        calls: Sequence[Call] = (),
    ) -> list[int]:
        """The ids to append to `encode_prompt(conversation)` and the ids sampled on it, so that the user speaks next.

        `reply_message` is the user's text, or a message of another role; `calls` are those of the sampled reply. The
        whole is then the template's rendering of the conversation, the sampled reply, the `reply_message`,
        and the start of the assistant's turn. The template is rendered with a marker in the reply's place, and what
        follows the marker is taken. If the reply `ended` with an end token of its own, the template's is dropped if it
        is the same one, or if the sampled one ends the model's last message. Whatever a template does to a reply (trim
        it, drop its thought) is not done: sampled ids stay as sampled. Where the template would do more than trim,
        `extends` is false, and the conversation is encoded whole.

        Raises ModelError unless the template shows the reply exactly once.
        """
        said = {"role": "user", "content": reply_message} if isinstance(reply_message, str) else reply_message
        reply = {"role": "assistant", "content": ""}
        if calls:
            marker, following = self.template.after_calls([*conversation, reply, said], len(conversation), calls)
        else:
            marker, text = self.template.marked([*conversation, reply, said], len(conversation))
            following = text.partition(marker)[2]
        ids = self._encode_after(marker, following)
        return self._without_end(ids, sampled_ids[-1]) if ended and sampled_ids else ids

    def with_calls(self, made: Generation, prompt: Sequence[Message], ended: bool) -> Generation:
        """What was sampled after a prompt that begins with tools, with its calls apart; itself if it has none.

        Calls end a text, and are read from its ids, since families write them with special tokens. One that is
        malformed leaves all of it as text.
        """
        tools, _ = tools_of(prompt)
        calls, marks = self.template.calls, self.template.marks
        if not tools or calls.form is None:
            return made
        ids = made.token_ids[:-1] if ended else made.token_ids
        if marks is not None and marks.is_channels:
            called = calls.read_messages(list(messages_in(ids, self.tokenizer)), tools)
            if called is None:
                return made
            thoughts = [text.strip() for header, text in messages_in(ids, self.tokenizer) if recipient(header) is None]
            return replace(made, text="", thought="\n\n".join(thoughts), is_thinking=False, calls=called)
        found = None if made.is_thinking else calls.read(answer_with_tokens(ids, marks, self.tokenizer), tools)
        if found is None:
            return made
        written, called = found
        return replace(made, text=self.template.without_tokens(written), calls=called)

    @property
    def takes_tools(self) -> bool:
        """Whether the template has a place for tools."""
        return self.template.tools_place is not None

    @property
    def calls(self) -> bool:
        """Whether calls of tools can be read in the form that the template writes them in."""
        return self.template.calls.form is not None

    def extends(self, has_thought: bool, then: str = "user", calls: Sequence[Call] = (), text: str = "") -> bool:
        """Whether the conversation after a reply, with a thought or without, goes on from the reply's sampled ids.

        After a reply with `calls` it depends on who speaks `then`, and on whether the calls follow a `text`.
        """
        if calls:
            return self.template.extends_calls(has_thought or self.opens_thought, bool(text.strip()), then)
        templates = {id(each): each for each in (self.template, self.template.for_tools)}.values()
        return all(each.extends(has_thought or self.opens_thought) for each in templates)

    @property
    def opens_thought(self) -> bool:
        """Whether the prompt ends in an opened thought."""
        return self.template.marks is not None and self.template.marks.is_opened

    @property
    def thinks(self) -> bool:
        """Whether the model may write a thought before its answer: not after a prompt that holds a closed one."""
        return self.template.marks is not None and not self.template.closes_thought

    def split(self, ids: Sequence[int]) -> Parts:
        """Sampled ids as thought and answer, without special tokens and the end of the turn."""
        ended = bool(ids) and ids[-1] == self.turn_end_id()
        return split_ids(ids[:-1] if ended else ids, self.template.marks, self.tokenizer)

    def turn_end_id(self) -> int | None:
        """The token that the template puts after the assistant's text; None if it is plain text.

        In channels, a thought ends like an earlier answer, so there it is the one after the last answer.
        """
        return self._turn_end

    @cached_property
    def _turn_end(self) -> int | None:
        marks = self.template.marks
        if marks is not None and marks.is_channels:
            return self._special_in(self.template.after_last_reply)
        ask, again = {"role": "user", "content": "1"}, {"role": "user", "content": "2"}
        marker, text = self.template.marked([ask, {"role": "assistant", "content": ""}, again], 1)
        return self._special_in(text.partition(marker)[2])

    def end_ids(self, configured: Sequence[int] = ()) -> tuple[int, ...]:
        """Every id that ends a text: the tokenizer's, the template's end of turn, and those configured for the model.

        Raises ModelError if there is none.
        """
        ids = [self.tokenizer.eos_token_id, self.turn_end_id(), *configured]
        found = tuple(dict.fromkeys(int(token) for token in ids if token is not None))
        if not found:
            raise ModelError("The model has no end-of-text token: set eos_token in its tokenizer.")
        return found

    def identity(self) -> dict[str, object]:
        """What a manifest records: settings that are not the default, and the date if the template writes it."""
        settings, template = self.template.settings, self.template
        found: dict[str, object] = {
            "template": dict(settings.arguments),
            "template_name": settings.name,
            "thought_marks": settings.thought_marks,
            "keep_thoughts": settings.keep_thoughts,
            "template_date": template.day.isoformat() if template.writes_date else None,
        }
        return {name: value for name, value in found.items() if value}

    def _special_in(self, text: str) -> int | None:
        """The first special token of a text that follows a reply, if only white space comes before it."""
        for token in self._encode_after("1", text):
            if self._is_special(token):
                return token
            if self.tokenizer.decode([token]).strip():
                return None
        return None

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _encode_after(self, marker: str, rest: str) -> list[int]:
        """The ids of `rest` after other text: some tokenizers encode the start of a text differently."""
        encoded = self.tokenizer(marker + rest, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets = encoded["offset_mapping"]
        if any(start < len(marker) < end for start, end in offsets):  # a token over the seam
            return self._encode(rest)
        return [token for token, (start, _) in zip(encoded["input_ids"], offsets, strict=True) if start >= len(marker)]

    def _without_end(self, ids: list[int], end_id: int) -> list[int]:
        """`ids` without the end tokens they start with, up to `end_id`, white space before it included.

        If it is not among them, but ends the model's last message, it stands for the first of them.
        """
        first = None
        for place, token in enumerate(ids):
            if token == end_id:
                return ids[place + 1 :]
            if self._is_special(token):
                first = place if first is None else first
            elif re.search(r"\S", self.tokenizer.decode([token])):
                break
        stands_for_it = first is not None and end_id == self.turn_end_id()
        return ids[first + 1 :] if first is not None and stands_for_it else ids

    def _is_special(self, token: int) -> bool:
        """Whether a token is no text: special, or written around messages by the template."""
        added = self.tokenizer.added_tokens_decoder.get(token)
        return added is not None and (bool(added.special) or added.content in self.template.turn_tokens)
