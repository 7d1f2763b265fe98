"""Thought marks: what separates a model's thought from its answer, and texts split at them.

A reasoning model writes `<think>…</think>` before its answer, or begins inside the thought because the chat template
opened it. gpt-oss and others write channels instead: messages with a header, of which one is for the user.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rrr_core.episode import Generation
from rrr_core.errors import ModelError

OPENED = "opened"
"""The word of `--thought-marks` for a thought that the prompt opens."""
MESSAGE = "<|message|>"
"""The token between a channel's header and its text."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What opens a thought and what closes it."""

    open: str
    close: str
    is_opened: bool = False
    """Whether the prompt ends in an opened thought, so that the text begins within it."""
    gap: str = field(default="\n\n", repr=False)
    """What a model writes between a closed thought and its answer, where its template does not show it."""

    @property
    def words(self) -> list[str]:
        """The words of `--thought-marks` that name them."""
        return [self.open, self.close, *([OPENED] if self.is_opened else [])]

    @property
    def is_channels(self) -> bool:
        """Whether thought and answer are separate messages, which their headers name."""
        return self.open == MESSAGE


CHANNELS = Marks(MESSAGE, MESSAGE)
THINK = Marks("<think>", "</think>")
"""The commonest."""
KNOWN = (
    THINK,
    Marks("<|channel>thought", "<channel|>", gap=""),
    *(
        Marks(opening, closing)
        for opening, closing in (
            ("<thinking>", "</thinking>"),
            ("<thought>", "</thought>"),
            ("<reasoning>", "</reasoning>"),
            ("[THINK]", "[/THINK]"),
            ("<|START_THINKING|>", "<|END_THINKING|>"),
            ("<seed:think>", "</seed:think>"),
            ("<|begin_of_thought|>", "<|end_of_thought|>"),
            ("◁think▷", "◁/think▷"),
        )
    ),
)
"""Marks of published models."""
THINK = KNOWN[0]
"""The commonest, which answers from elsewhere are split at."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A written text in two."""

    thought: str
    answer: str
    is_thinking: bool = False
    """Whether the text ends within its thought: there is no answer."""


def marks_from(text: str) -> Marks | None:
    """The marks of the option `--thought-marks`: `OPEN CLOSE`; None for `none`. Raises ModelError for anything else.

    A third word, `opened`, says that the prompt opens the thought, which a server does not show.

    >>> marks_from("<think> </think> opened")
    Marks(open='<think>', close='</think>', is_opened=True)
    """
    if text.strip() == "none":
        return None
    parts = text.split()
    if len(parts) not in (2, 3) or parts[2:] not in ([], [OPENED]):
        raise ModelError(
            f"--thought-marks {text!r}: give what opens a thought and what closes it, separated by a space, such as"
            f" '<think> </think>', or 'none'; a third word can only be '{OPENED}'."
        )
    return Marks(parts[0], parts[1], is_opened=len(parts) == 3)


def find_marks(prompt_end: str, added_tokens: Iterable[str], template: str) -> Marks | None:
    """The marks of a model, from what its template writes where the assistant begins, its tokens, and its template."""
    ending = prompt_end.rstrip()
    for marks in KNOWN:
        if ending.endswith(marks.open):
            return replace(marks, is_opened=True)
    tokens = set(added_tokens)
    if MESSAGE in tokens and ("<|channel|>" in tokens or "to=self" in template):
        return CHANNELS
    for marks in KNOWN:
        if marks.close in tokens or marks.close in template:
            return marks
    return None


def split_text(text: str, marks: Marks | None) -> Parts:
    """A text split at its marks.

    The answer is what follows the first close mark. What comes before it is the thought, even if it does not begin with
    the open mark: the prompt may have opened it. Marks that stand within a text which began as an answer are part of
    it. A text that was cut off in an opened thought has no answer. Without marks, or with channels, which are tokens
    and not text, all of it is the answer.

    >>> split_text("I add.\\n</think>\\n\\n3 + 4", KNOWN[0])
    Parts(thought='I add.', answer='3 + 4', is_thinking=False)
    >>> split_text("<think>I add.", KNOWN[0])
    Parts(thought='I add.', answer='', is_thinking=True)
    """
    if marks is None or marks.is_channels:
        return Parts("", text)
    before, closing, after = text.partition(marks.close)
    if not _is_thought(before, marks, bool(closing)):
        return Parts("", text)
    thought = before.lstrip().removeprefix(marks.open).strip()
    return Parts(thought, after.lstrip()) if closing else Parts(thought, "", is_thinking=True)


def _is_thought(text: str, marks: Marks, is_closed: bool) -> bool:
    """Whether what a text holds up to its first close mark, or all of it, is a thought."""
    begins = marks.is_opened or text.lstrip().startswith(marks.open)
    return begins or (is_closed and marks.open not in text)


def generation_of(text: str, marks: Marks | None) -> Generation:
    """A text that came without ids, such as one of a file, as thought and answer."""
    parts = split_text(text, marks)
    return Generation(parts.answer, thought=parts.thought, is_thinking=parts.is_thinking)


def split_ids(ids: Sequence[int], marks: Marks | None, tokenizer: Any) -> Parts:
    """Sampled ids as text without special tokens, split where the marks' own tokens stand, or else at their text."""
    if marks is None:
        return Parts("", _text(tokenizer, ids))
    if marks.is_channels:
        return _split_channels(ids, tokenizer)
    closing = tokenizer.get_added_vocab().get(marks.close)
    if closing is None:
        return split_text(_text(tokenizer, ids), marks)
    place = list(ids).index(closing) if closing in ids else len(ids)
    before = str(tokenizer.decode(list(ids[:place]), skip_special_tokens=False))
    if not _is_thought(before, marks, place < len(ids)):
        return Parts("", _text(tokenizer, ids))
    thought = _thought(tokenizer, ids[:place], marks)
    if place == len(ids):
        return Parts(thought, "", is_thinking=True)
    return Parts(thought, _text(tokenizer, ids[place + 1 :]).lstrip())


def answer_with_tokens(ids: Sequence[int], marks: Marks | None, tokenizer: Any) -> str:
    """The answer in sampled ids with its special tokens, of which families make calls; empty within a thought."""

    def spelled(part: Sequence[int]) -> str:
        return str(tokenizer.decode(list(part), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    closing = None if marks is None else tokenizer.get_added_vocab().get(marks.close)
    if marks is None or closing is None:
        return split_text(spelled(ids), marks).answer
    place = list(ids).index(closing) if closing in ids else len(ids)
    if not _is_thought(spelled(ids[:place]), marks, place < len(ids)):
        return spelled(ids)
    return spelled(ids[place + 1 :])


def _thought(tokenizer: Any, ids: Sequence[int], marks: Marks) -> str:
    """A thought's text, without what of its open mark is text rather than a special token."""
    opening = _text(tokenizer, tokenizer(marks.open, add_special_tokens=False)["input_ids"]).strip()
    return _text(tokenizer, ids).strip().removeprefix(opening).strip()


def _split_channels(ids: Sequence[int], tokenizer: Any) -> Parts:
    """Thought and answer of a text in channels: the answer is the last message for the user."""
    thoughts, answer = [], None
    for header, body in messages_in(ids, tokenizer):
        if re.search(r"final|to=user", header) or not re.search(r"<\|channel\|>|to=", header):
            answer = body
        else:
            thoughts.append(body.strip())
    if answer is None and not thoughts:
        raw = str(tokenizer.decode(list(ids), skip_special_tokens=False))
        if re.search(r"<\|channel\|>|^\s*to=", raw):  # cut off in a header
            return Parts("", "", is_thinking=True)
        return Parts("", _text(tokenizer, ids))  # outside of any channel
    return Parts("\n\n".join(thoughts), answer or "", is_thinking=answer is None)


def messages_in(ids: Sequence[int], tokenizer: Any) -> Iterator[tuple[str, str]]:
    """(Header, text) of each message in channels."""
    message = tokenizer.get_added_vocab()[MESSAGE]
    special = set(tokenizer.all_special_ids) | {
        token for token, added in tokenizer.added_tokens_decoder.items() if added.special
    }
    start = 0
    while message in (left := list(ids[start:])):
        body = start + left.index(message) + 1
        end = next((place for place in range(body, len(ids)) if ids[place] in special), len(ids))
        header = str(tokenizer.decode(list(ids[start : body - 1]), skip_special_tokens=False))
        yield header, _text(tokenizer, ids[body:end])
        start = end


def _text(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
