"""What engines of token ids share: conversations in, ids through the engine, texts out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from rrr_core.chat.format import ChatFormat
from rrr_core.episode import Generation
from rrr_core.errors import ModelError
from rrr_core.generation.engine import Sampling, TokenEngine
from rrr_core.hookspecs import Message, Model


class EncodedEngine(TokenEngine):
    """A TokenEngine with `generate` built on `generate_ids`, which an engine implements.

    Prompts are encoded here, from the neutralised text (see `rrr_core.chat.spelling`), so that all engines get the
    same ids.
    """

    def __init__(
        self,
        tokenizer: Any,
        info: Model,
        end_ids: Sequence[int],
        context: int | None,
        chat: ChatFormat | None = None,
    ) -> None:
        self.tokenizer, self.model = tokenizer, info
        self.chat = chat or ChatFormat(tokenizer)
        self.end_ids = tuple(end_ids)
        self.context = context
        self._encoded: dict[Hashable, list[int]] = {}

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        """One text for each conversation, in order; see Engine."""
        prompts = self.encode(conversations)
        return [self.read(written) for written in self.generate_ids(prompts, sampling, on_done)]

    def encode(self, conversations: Sequence[Sequence[Message]]) -> list[list[int]]:
        """The ids of their prompts. Equal conversations, and those of the last call, are rendered and encoded once."""
        keys = [tuple(tuple(message.items()) for message in each) for each in conversations]
        fresh = {key: each for key, each in zip(keys, conversations, strict=True) if key not in self._encoded}
        encoded = self.chat.encode_prompts(list(fresh.values()))
        known: dict[Hashable, list[int]] = {**self._encoded, **dict(zip(fresh, encoded, strict=True))}
        self._encoded = {key: known[key] for key in keys}
        return [known[key] for key in keys]

    def described(self, backend: str, source: Mapping[str, object]) -> dict[str, object]:
        """What a manifest records of any such engine: backend, name, family, source of the weights, tokenizer."""
        return {
            "backend": backend,
            "name": self.model.name,
            "family": self.model.family,
            **source,
            "tokenizer": type(self.tokenizer).__name__,
            "tokenizer_sha256": tokenizer_digest(self.tokenizer),
            **self.chat.identity(),
        }

    def is_ended(self, ids: Sequence[int]) -> bool:
        """Whether sampled ids end with an end token; False if the token limit cut them off."""
        return bool(ids) and ids[-1] in self.end_ids

    def has_room(self, conversation: Sequence[Message]) -> bool:
        return self.context is None or len(self.chat.encode_prompt(conversation)) < self.context

    def limit_of(self, prompt: Sequence[int], sampling: Sampling) -> int:
        """Most tokens to sample after `prompt`. Raises ModelError if the prompt fills the context."""
        if self.context is None:
            return sampling.max_tokens
        left = self.context - len(prompt)
        if left < 1:
            raise ModelError(
                f"A prompt of {len(prompt)} tokens fills the context of {self.context} of {self.model.name!r}:"
                " shorten the rows or the attempts (--max-tokens), or use another model."
            )
        return min(left, sampling.max_tokens)


def tokenizer_digest(tokenizer: Any) -> str:
    """A short SHA-256 of what decides how a tokenizer encodes a conversation: its model and its chat template."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    for changing in ("padding", "truncation"):
        state.pop(changing, None)
    content = json.dumps([state, tokenizer.chat_template], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
