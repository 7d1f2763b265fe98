"""Which tokens of a conversation the assistant wrote, under a chat template that does not mark them itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trl.chat_template_utils import get_training_chat_template, has_generation_markers

from rrr_core.chat.format import ChatFormat
from rrr_core.episode.calls import CALLS
from rrr_core.errors import ModelError
from rrr_core.hookspecs import Message
from rrr_core.tasks.tools import TOOLS_ROLE


def marks_assistant(tokenizer: Any) -> bool:
    """Whether the template marks the assistant's texts, or TRL knows a twin of it that does."""
    if has_generation_markers(tokenizer.chat_template):
        return True
    try:
        get_training_chat_template(tokenizer)
    except ValueError:
        return False
    return True


def with_assistant_tokens(chat: ChatFormat, conversation: Sequence[Message]) -> dict[str, list[int]]:
    """The `input_ids` of a conversation, and as `assistant_masks` 1 for what the assistant writes, its end included.

    Raises ModelError if it calls tools, or the template shows a text of the assistant's otherwise than it is.
    """
    if any(each["role"] == TOOLS_ROLE or CALLS in each for each in conversation):
        raise ModelError(
            "The worked conversations call tools, and the model's chat template marks no assistant's texts"
            " ({% generation %}): warm up a model whose template does (--model)."
        )
    text, spans = _spans(chat, conversation)
    encoded = chat.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ends = set(chat.end_ids())
    mask, inside = [], False
    for token, (start, end) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
        is_written = any(first <= start and end <= last for first, last in spans) and end > start
        # The end of a turn stands after its text: the model has to learn to stop.
        mask.append(int(is_written or (inside and token in ends)))
        inside = is_written
    return {"input_ids": encoded["input_ids"], "assistant_masks": mask}


def _spans(chat: ChatFormat, conversation: Sequence[Message]) -> tuple[str, list[tuple[int, int]]]:
    """The text of a conversation, and where in it the assistant's texts are."""
    text, spans = chat.template.render(conversation), []
    for place, message in enumerate(conversation):
        if message["role"] != "assistant":
            continue
        marker, shown = chat.template.marked(conversation, place)
        before, _, after = shown.partition(marker)
        said = text[len(before) : len(text) - len(after)]
        if text != before + said + after or said.strip() != message["content"].strip():
            raise ModelError(
                "The model's chat template changes the assistant's texts in the worked conversations: warm up a model"
                " whose template marks them ({% generation %}) or shows them as they are (--model)."
            )
        spans.append((len(before), len(before) + len(said)))
    return text, spans
