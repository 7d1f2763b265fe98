"""The one protocol that every inference engine fits into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from rrr_core.episode import Generation
from rrr_core.hookspecs import Message, Model


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw a text."""

    temperature: float = 0.9
    """0 is greedy."""
    max_tokens: int = 512
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps all tokens."""
    seed: int = 0
    """Same requests, same order, same seed and same machine give the same texts."""


@dataclass(frozen=True, slots=True)
class Hits:
    """How much of the prompts an engine did not have to read: it was in its prefix cache."""

    prompt_tokens: int = 0
    cached_tokens: int = 0

    @property
    def rate(self) -> float:
        """Share of the prompts' tokens that came from the cache; 0 before there is a prompt.

        >>> Hits(prompt_tokens=200, cached_tokens=150).rate
        0.75
        """
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.prompt_tokens + other.prompt_tokens, self.cached_tokens + other.cached_tokens)


class Generator(Protocol):
    """An inference engine: conversations in, texts out."""

    @property
    def model(self) -> Model:
        """The model's name and family, for plugins."""

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        """One text for each conversation, in order; each conversation ends with a user message.

        `on_done(n)` is called as texts are finished, n of them since the last call.
        Raises ModelError where the engine cannot be reached or answers with nonsense.
        """

    def describe(self) -> dict[str, object]:
        """What a manifest records of the engine: model, revision, tokenizer, dtype, versions."""


class IdGenerator(Generator, Protocol):
    """An engine that gives and takes token ids, which training needs: sampled ids are never encoded again."""

    tokenizer: Any
    """Encodes the prompts; a fast tokenizer of transformers."""

    def generate_ids(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
        places: Sequence[int] | None = None,
    ) -> list[list[int]]:
        """The sampled ids for each prompt's ids, in order; the end id included where one was sampled, never padding.

        A text is drawn by `Sampling.seed` and its prompt's place: one of `places`, or else its index. So a caller that
        leaves prompts out, and gives the others the places they would have had, gets the texts they would have got.
        Raises ModelError where a prompt fills the model's context, or the engine fails.
        """

    def is_ended(self, ids: Sequence[int]) -> bool:
        """Whether sampled ids end with an end token; False where the token limit cut them off."""

    def text_of(self, ids: Sequence[int]) -> str:
        """Sampled ids as text, without special tokens: to be read and judged, never to be encoded again."""

    def follow(self, network: Any) -> None:
        """From now on texts come from this network's weights, as they are at this moment."""


def remembering(generator: Generator) -> AbstractContextManager[None]:
    """A stretch in which the weights do not change, so that the engine may keep what it has read and written.

    A later prompt that begins with an earlier one, and perhaps with what was sampled on it, is then not read again.
    No text depends on it. Engines that keep nothing, or mind it themselves, have no method `remembering`.
    """
    method = getattr(generator, "remembering", None)
    return nullcontext() if method is None else method()


def notice_of(generator: Generator) -> str | None:
    """What a person should know of how the engine works on this model; most have nothing to tell."""
    return getattr(generator, "notice", None)
