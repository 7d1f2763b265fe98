"""An engine with a profile: the seconds and tokens of generation, and the seconds of weight syncs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any, overload

from rrr_core.chat.format import ChatFormat
from rrr_core.episode import Generation
from rrr_core.generation.engine import Engine, Hits, Sampling, TokenEngine
from rrr_core.hookspecs import Message
from rrr_core.profiling.profile import Profile, machine_of


@overload
def measured(engine: TokenEngine, profile: Profile) -> TokenEngine: ...
@overload
def measured(engine: Engine, profile: Profile) -> Engine: ...
def measured(engine: Engine, profile: Profile) -> Engine:
    """The engine with generation and weight syncs measured; it gives the same texts."""
    profile.machine = machine_of(engine.network)
    return _MeasuredTokens(engine, profile) if isinstance(engine, TokenEngine) else _Measured(engine, profile)


class _Measured(Engine):
    """Another engine, with `generate` measured."""

    def __init__(self, engine: Engine, profile: Profile) -> None:
        self._engine, self._profile = engine, profile
        self.model = engine.model

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        with self._profile.during("generate"), self._counting_prompts():
            made = self._engine.generate(conversations, sampling, on_done)
        written = [generation.length for generation in made]
        self._profile.count(written=sum(filter(None, written)) if all(written) else None)
        return made

    def describe(self) -> dict[str, object]:
        return self._engine.describe()

    def has_room(self, conversation: Sequence[Message]) -> bool:
        return self._engine.has_room(conversation)

    def read_calls(self, made: Generation, prompt: Sequence[Message]) -> Generation:
        return self._engine.read_calls(made, prompt)

    def prefix_caching(self) -> AbstractContextManager[None]:
        return self._engine.prefix_caching()

    @property
    def prefix_cache_hits(self) -> Hits | None:
        return self._engine.prefix_cache_hits

    @property
    def thinks(self) -> bool:
        return self._engine.thinks

    @property
    def notice(self) -> str | None:
        return self._engine.notice

    @property
    def findings(self) -> Mapping[str, object]:
        return self._engine.findings

    @property
    def network(self) -> Any:
        return self._engine.network

    @contextmanager
    def _counting_prompts(self) -> Iterator[None]:
        before = self._engine.prefix_cache_hits
        yield
        after = self._engine.prefix_cache_hits
        if before is not None and after is not None:
            self._profile.count(
                prompt=after.prompt_tokens - before.prompt_tokens, cached=after.cached_tokens - before.cached_tokens
            )


class _MeasuredTokens(_Measured, TokenEngine):
    """Another engine of token ids, with `generate_ids` and `sync_weights` measured as well."""

    _engine: TokenEngine

    def __init__(self, engine: TokenEngine, profile: Profile) -> None:
        super().__init__(engine, profile)
        self.tokenizer, self.context = engine.tokenizer, engine.context

    def generate_ids(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
        places: Sequence[int] | None = None,
    ) -> list[list[int]]:
        with self._profile.during("generate"), self._counting_prompts():
            made = self._engine.generate_ids(prompts, sampling, on_done, places)
        self._profile.count(written=sum(map(len, made)))
        return made

    def sync_weights(self, network: Any) -> None:
        with self._profile.during("sync"):
            self._engine.sync_weights(network)

    def is_ended(self, ids: Sequence[int]) -> bool:
        return self._engine.is_ended(ids)

    @cached_property
    def chat(self) -> ChatFormat:
        return self._engine.chat

    def read(self, ids: Sequence[int]) -> Generation:
        return self._engine.read(ids)

    @property
    def takes_weights(self) -> bool:
        return self._engine.takes_weights

    @property
    def off_policy(self) -> bool:
        return self._engine.off_policy

    @property
    def keeps_logprobs(self) -> bool:
        return self._engine.keeps_logprobs

    def logprobs_of(self, prompt: Sequence[int], written: Sequence[int]) -> list[float]:
        return self._engine.logprobs_of(prompt, written)
