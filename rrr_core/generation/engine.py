"""The base class of inference engines: its capabilities are methods with defaults.

An engine overrides what it can do. Callers use these methods and properties alone, and probe nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rrr_core.episode import Generation
from rrr_core.errors import ModelError
from rrr_core.hookspecs import Message, Model

if TYPE_CHECKING:
    from rrr_core.chat.format import ChatFormat


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw a text."""

    temperature: float = 0.9
    """0 is greedy."""
    max_tokens: int = 512
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps all tokens."""
    min_p: float = 0.0
    """Least probability of a token, as a share of the likeliest one's; 0 keeps all tokens."""
    repetition_penalty: float = 1.0
    """Divides the logits (if positive, else multiplies them) of tokens in the prompt or the text so far."""
    seed: int = 0
    """The same requests in the same order, with the same seed on the same machine, give the same texts."""


@dataclass(frozen=True, slots=True)
class Hits:
    """How much of the prompts an engine found in its prefix cache, and did not have to prefill."""

    prompt_tokens: int = 0
    cached_tokens: int = 0

    @property
    def rate(self) -> float:
        """Share of the prompts' tokens that came from the cache; 0 before the first prompt.

        >>> Hits(prompt_tokens=200, cached_tokens=150).rate
        0.75
        """
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.prompt_tokens + other.prompt_tokens, self.cached_tokens + other.cached_tokens)


class Engine(ABC):
    """An inference engine: conversations in, texts out."""

    model: Model
    """The model's name and family, for plugins."""

    @abstractmethod
    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        """One text for each conversation, in order; each conversation ends with a user message.

        `on_done(n)` is called as texts are finished, n of them since the last call.
        Raises ModelError if the engine cannot be reached or answers with nonsense.
        """

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """What a manifest records of the engine, as JSON: model, revision, tokenizer, dtype, versions.

        A run cannot be resumed with an engine that describes itself differently.
        """

    def has_room(self, conversation: Sequence[Message]) -> bool:
        """Whether the model's context leaves room for a text after a conversation; True if that is not known."""
        return True

    def prefix_caching(self) -> AbstractContextManager[None]:
        """A context in which the weights do not change, so what was prefilled and decoded may be kept.

        A later prompt that begins with an earlier one, and perhaps with what was sampled on it, is then not prefilled
        again. No text depends on it. By default nothing is kept, or the engine manages its own cache.
        """
        return nullcontext()

    def read_calls(self, made: Generation, prompt: Sequence[Message]) -> Generation:
        """A text that was written in answer to tools, which the prompt begins with, with its calls apart.

        What calls none, or calls in a form that is malformed, stays as it is. By default nothing is read, or the engine
        gives the calls itself; `Model.calls` says whether it can.
        """
        return made

    @property
    def prefix_cache_hits(self) -> Hits | None:
        """How much of all prompts so far came from the prefix cache; None if the engine does not count it."""
        return None

    @property
    def thinks(self) -> bool:
        """Whether the model may write a thought before its answer, so that its texts are long."""
        return False

    @property
    def notice(self) -> str | None:
        """What a person should know about how the engine runs this model; None for most."""
        return None

    @property
    def findings(self) -> Mapping[str, object]:
        """What was found out about the model while it wrote, as JSON for a manifest; no text's meaning depends on it.

        A stage records it, and says the notice again if that has changed.
        """
        return {}

    @property
    def network(self) -> Any:
        """The torch network in this process that writes the texts; None if there is none."""
        return None


class TokenEngine(Engine):
    """An engine that takes and gives token ids, which training needs: sampled ids are never encoded again."""

    tokenizer: Any
    """Encodes the prompts; a fast tokenizer of transformers."""
    context: int | None = None
    """Most tokens of a prompt and its text together; None if it is not known."""

    @abstractmethod
    def generate_ids(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
        places: Sequence[int] | None = None,
    ) -> list[list[int]]:
        """The sampled ids for each prompt's ids, in order; the end id included if one was sampled, never padding.

        `Sampling.seed` and a prompt's place decide its text: one of `places`, or else its index. So a caller that drops
        prompts, and gives the others the places they would have had, gets the same texts for them.
        Raises ModelError if a prompt fills the model's context, or the engine fails.
        """

    @abstractmethod
    def is_ended(self, ids: Sequence[int]) -> bool:
        """Whether sampled ids end with an end token; False if the token limit cut them off."""

    @cached_property
    def chat(self) -> ChatFormat:
        """What the tokenizer's chat template decides: prompts, turn ends, and thoughts apart from answers."""
        from rrr_core.chat.format import ChatFormat

        return ChatFormat(self.tokenizer)

    def read(self, ids: Sequence[int]) -> Generation:
        """Sampled ids as thought and answer, without special tokens: to be judged, never to be encoded again."""
        parts = self.chat.split(ids)
        return Generation(
            parts.answer,
            tuple(ids),
            "stop" if self.is_ended(ids) else "length",
            thought=parts.thought,
            is_thinking=parts.is_thinking,
        )

    def read_calls(self, made: Generation, prompt: Sequence[Message]) -> Generation:
        """Its calls read from its ids, in the form of the model's family; see Engine."""
        return made if made.is_cut_off else self.chat.with_calls(made, prompt, self.is_ended(made.token_ids))

    @property
    def thinks(self) -> bool:
        """Whether the chat template, the tokenizer or the user names thought marks."""
        return self.chat.thinks

    @abstractmethod
    def sync_weights(self, network: Any) -> None:
        """Use this network's weights, as they are now, for all further texts."""

    @property
    def takes_weights(self) -> bool:
        """Whether `sync_weights` reads the network in this process; if not, it is still called."""
        return True

    @property
    def off_policy(self) -> bool:
        """Whether a program other than the policy draws the texts, so that training must correct for it.

        True unless an engine says otherwise: kernels that round differently are enough. Training takes an off-policy
        engine only if it `keeps_logprobs`.
        """
        return True

    @property
    def keeps_logprobs(self) -> bool:
        """Whether `logprobs_of` gives the log-probabilities of what was written since the last weight sync."""
        return False

    def logprobs_of(self, prompt: Sequence[int], written: Sequence[int]) -> list[float]:
        """The log-probability of each sampled id, as it was drawn: after penalty, temperature, top-k, top-p and min-p.

        Raises ModelError if the engine keeps none.
        """
        raise ModelError(f"The engine of {self.model.name!r} keeps no log-probabilities.")
