"""Conversations as token ids: the prompt of a conversation, and what follows after ids that a model sampled.

Sampled ids are never decoded and encoded again. Only text from elsewhere is encoded: rows, prompts, and attempts read
back from a file. That text may spell a control token, such as `<|im_end|>`. A tokenizer would turn it into the real
token, and an attempt could end its own turn and speak as the user. So every spelling of a special token in a message is
broken with a space before the chat template sees it. A message without one is untouched. Markers that are plain text to
the tokenizer, such as a template's literal `[INST]`, look like prose and stay. Tools at the beginning of a conversation
are treated the same way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from rrr_core.errors import DataError, ModelError
from rrr_core.generation.native_tools import place_of_tools, put_tools
from rrr_core.hookspecs import Message
from rrr_core.tasks.tools import split_tools
from rrr_core.text import one_line


def neutral(tokenizer: Any, text: str) -> str:
    """`text` with every spelling of a special token broken after its first character.

    `<|im_end|>` becomes `< |im_end|>`. Added tokens that are not special, such as Qwen3's `<think>`, stay.
    """
    pattern = _special_spellings(tokenizer, len(tokenizer))
    while pattern is not None and pattern.search(text):
        text = pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}" if len(found[0]) > 1 else " ", text)
    return text


@lru_cache(maxsize=8)
def _special_spellings(tokenizer: Any, size: int) -> re.Pattern[str] | None:  # noqa: ARG001 - the cache's key
    """Matches the texts that the tokenizer, of `size` tokens, turns into special tokens; None if it has none."""
    spellings = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    escaped = [re.escape(spelling) for spelling in sorted(spellings, key=len, reverse=True) if spelling.strip()]
    return re.compile("|".join(escaped)) if escaped else None


def render(tokenizer: Any, conversation: Sequence[Message]) -> str:
    """The chat template's text of a conversation, up to where the assistant writes.

    Tools at the beginning of the conversation go where the template has its place for them.
    Raises ModelError if there is no template, it has no place for tools, or it refuses the conversation; DataError if
    the tools are not function schemas.
    """
    if not tokenizer.chat_template:
        raise ModelError("The tokenizer has no chat template: use an instruct model, or warm the model up.")
    tools, spoken = _split(conversation)
    messages = [{**message, "content": neutral(tokenizer, message["content"])} for message in spoken]
    arguments: dict[str, Any] = {}
    if tools:
        place = place_of_tools(tokenizer)
        if place is None:
            raise ModelError(
                "The model's chat template has no place for tools, and the prompt begins with some: use another model,"
                " or have the plugin write them into the text where model.takes_tools is false."
            )
        messages, arguments = put_tools(place, json.loads(neutral(tokenizer, _as_text(tools))), messages)
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **arguments)
    except Exception as error:  # templates are foreign programs: jinja's errors, and those of anything they call
        roles = ", ".join(message["role"] for message in messages)
        raise ModelError(f"The model's chat template refuses a conversation of {roles}: {one_line(error)}") from error
    return str(text)


def encode_prompt(tokenizer: Any, conversation: Sequence[Message]) -> list[int]:
    """The ids of a conversation that ends with a user message, up to where the assistant writes."""
    return encode_prompts(tokenizer, [conversation])[0]


def encode_prompts(tokenizer: Any, conversations: Sequence[Sequence[Message]]) -> list[list[int]]:
    """`encode_prompt` of each conversation. A tokenizer is much faster on many texts at once."""
    if not conversations:
        return []
    texts = [render(tokenizer, conversation) for conversation in conversations]
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def continuation_ids(
    tokenizer: Any, conversation: Sequence[Message], reply_message: str, sampled_ids: Sequence[int], ended: bool
) -> list[int]:
    """The ids to append to `encode_prompt(conversation)` and the ids sampled on it, so that the user speaks next.

    The whole is then the template's rendering of the conversation, the sampled reply, the user's `reply_message`, and
    the start of the assistant's turn. The template is rendered with a marker in the reply's place, and what follows the
    marker is taken. If the reply `ended` with its own end token, the template's is dropped if it is the same one.
    Whatever a template does to a reply (trim it, drop its thinking) is not done: sampled ids stay as sampled.

    Raises ModelError unless the template shows the reply exactly once.
    """
    marker, text = _render_marked(
        tokenizer, [*conversation, {"role": "user", "content": reply_message}], len(conversation)
    )
    ids = _encode_after(tokenizer, marker, text[text.index(marker) + len(marker) :])
    if ended and sampled_ids:
        ids = _without_end(tokenizer, ids, sampled_ids[-1])
    return ids


def turn_end_id(tokenizer: Any) -> int | None:
    """The special token that the chat template puts after the assistant's text; None if it is plain text."""
    question, again = {"role": "user", "content": "1"}, {"role": "user", "content": "2"}
    marker, text = _render_marked(tokenizer, [question, again], 1)
    for token in _encode_after(tokenizer, marker, text[text.index(marker) + len(marker) :]):
        if _is_special(tokenizer, token):
            return token
        if tokenizer.decode([token]).strip():
            return None
    return None


def _render_marked(tokenizer: Any, conversation: Sequence[Message], place: int) -> tuple[str, str]:
    """A marker and the conversation's rendering with an assistant message of the marker alone at `place`."""
    tools, spoken = _split(conversation)
    written = "".join([_as_text(tools), *(message["content"] for message in spoken)])
    number = 0
    while (marker := f"reply{number}here") in written or marker in str(tokenizer.chat_template):
        number += 1
    reply = {"role": "assistant", "content": marker}
    text = render(tokenizer, [*conversation[:place], reply, *conversation[place:]])
    if text.count(marker) != 1:
        raise ModelError(
            f"The model's chat template shows an assistant's reply {text.count(marker)} times instead of once:"
            " a conversation cannot be continued with it."
        )
    return marker, text


def _split(conversation: Sequence[Message]) -> tuple[list[dict[str, Any]], Sequence[Message]]:
    try:
        return split_tools(conversation)
    except ValueError as error:
        raise DataError(f"A prompt begins with tools that no model can be shown: {error}. Fix what wrote it.") from None


def _as_text(tools: Sequence[dict[str, Any]]) -> str:
    """Tools as JSON, without escapes for characters that a template shows verbatim."""
    return json.dumps(tools, ensure_ascii=False)


def _encode(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _encode_after(tokenizer: Any, marker: str, rest: str) -> list[int]:
    """The ids of `rest` after other text: some tokenizers encode the start of a text differently."""
    encoded = tokenizer(marker + rest, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    offsets = encoded["offset_mapping"]
    if any(start < len(marker) < end for start, end in offsets):  # a token over the seam
        return _encode(tokenizer, rest)
    return [token for token, (start, _) in zip(encoded["input_ids"], offsets, strict=True) if start >= len(marker)]


def _without_end(tokenizer: Any, ids: list[int], end_id: int) -> list[int]:
    """`ids` without the end token they start with, white space before it included."""
    for place, token in enumerate(ids):
        if token == end_id:
            return ids[place + 1 :]
        if _is_special(tokenizer, token) or re.search(r"\S", tokenizer.decode([token])):
            break
    return ids


def _is_special(tokenizer: Any, token: int) -> bool:
    added = tokenizer.added_tokens_decoder.get(token)
    return added is not None and bool(added.special)
