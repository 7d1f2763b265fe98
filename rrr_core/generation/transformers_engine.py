"""The transformers engine: a causal language model in this process, batched, seeded, and left unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList

from rrr_core.chat.format import ChatFormat
from rrr_core.errors import ModelError
from rrr_core.generation.decoding import (
    can_decode,
    decode,
    decodes_beyond_window,
    penalised,
    seen_tokens,
    uniforms,
)
from rrr_core.generation.encoded import EncodedEngine
from rrr_core.generation.engine import Hits, Sampling
from rrr_core.generation.kv_cache import without_adapters
from rrr_core.generation.one_query import use_joined_queries
from rrr_core.generation.packed_weights import PackedWeights
from rrr_core.generation.prefix_cache import PrefixCache
from rrr_core.generation.trial import evaluating
from rrr_core.hookspecs import Model
from rrr_core.seeds import stream_seed

CPU_BATCH_TOKENS, BATCH_TOKENS = 32768, 65536
"""Default tokens of a batch: a larger one does not fit a CPU's caches, and a smaller one leaves an accelerator idle."""

PREFIX_CACHE_BYTES, PREFIX_CACHE_SHARE = 1 << 30, 0.1
"""Limits of the prefix cache: bytes on a CPU, a share of the memory on an accelerator. The rest is for the model, the
batch being decoded, and a trainer's optimiser."""


class TransformersEngine(EncodedEngine):
    """A network and its tokenizer as a TokenEngine. Each call uses the network's current weights; see `sync_weights`.

    So it works on a policy in training: modes, gradients and the global random state are left as they were. Each row
    draws from its own random stream, a pure function of `Sampling.seed` and the row's place, so that batching changes
    nothing.
    """

    def __init__(
        self,
        network: Any,
        tokenizer: Any,
        info: Model,
        *,
        batch_tokens: int | None = None,
        source: dict[str, object] | None = None,
        chat: ChatFormat | None = None,
    ) -> None:
        context = getattr(network.config.get_text_config(), "max_position_embeddings", None)
        chat = chat or ChatFormat(tokenizer)
        super().__init__(tokenizer, info, chat.end_ids(configured_ends(network)), context, chat)
        self._network, self.batch_tokens = network, batch_tokens
        self.source = source or {}
        self.prefix_cache: PrefixCache | None = None
        self._packed_weights = PackedWeights()
        self._hits = Hits()
        self.pad_id: int = self.end_ids[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id

    def generate_ids(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
        places: Sequence[int] | None = None,
    ) -> list[list[int]]:
        """The sampled ids for each prompt's ids, in order; see TokenEngine.

        Raises ModelError if a prompt fills the model's context, memory runs out, or the output is not finite.
        """
        places = range(len(prompts)) if places is None else places
        limits = [self.limit_of(prompt, sampling) for prompt in prompts]
        results: list[list[int]] = [[] for _ in prompts]
        longest = max((len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True)), default=0)
        fast = can_decode(self.network) and decodes_beyond_window(self.network, longest)
        packed = self._packed_weights.used_by(self.network, keep=self.prefix_cache is not None)
        if self.network.device.type == "cpu":
            use_joined_queries()
        with torch.no_grad(), evaluating(self.network), packed:
            for batch in batches_of(prompts, limits, self._batch_tokens()):
                written = self._sample(prompts, limits, batch, places, sampling, on_done or _ignore, fast)
                for index, ids in zip(batch, written, strict=True):
                    results[index] = ids
        return results

    @contextmanager
    def prefix_caching(self) -> Iterator[None]:
        """Keep what is prefilled and decoded inside, at most `PREFIX_CACHE_SHARE` of the memory; see `Engine`.

        Packed weights are kept, too. Nested, it adds nothing. Models with a sliding window keep nothing prefilled.
        """
        if self.prefix_cache is not None:
            yield
            return
        self.prefix_cache = PrefixCache(prefix_cache_bytes(self.network.device))
        try:
            yield
        finally:
            self.prefix_cache = None
            self._packed_weights.drop()

    def sync_weights(self, network: Any) -> None:
        """Use this network for all further texts, with its weights of each call; inside `prefix_caching` of now."""
        self._network = network
        self._packed_weights.drop()
        if self.prefix_cache is not None:
            self.prefix_cache.clear()

    @property
    def network(self) -> Any:
        """The network that writes the texts."""
        return self._network

    @property
    def off_policy(self) -> bool:
        """False: the policy writes the texts itself."""
        return False

    @property
    def prefix_cache_hits(self) -> Hits:
        """Over all prompts so far. A prompt that occurs in a batch more than once is read once."""
        return self._hits

    @property
    def notice(self) -> str | None:
        """A warning if a model of this kind is slow here."""
        if can_decode(self.network):
            return None
        kind = type(without_adapters(self.network)).__name__
        return f"Texts come from the slower `generate` of transformers: rrr's own decoding does not support {kind}."

    def describe(self) -> dict[str, object]:
        """What a manifest records: name, family, source of the weights, tokenizer, dtype, device, versions."""
        return {
            **self.described("transformers", self.source),
            "dtype": str(self.network.dtype).removeprefix("torch."),
            "device": self.network.device.type,
            "transformers": version("transformers"),
            "torch": version("torch"),
        }

    def _batch_tokens(self) -> int:
        return self.batch_tokens or (CPU_BATCH_TOKENS if self.network.device.type == "cpu" else BATCH_TOKENS)

    def _sample(
        self,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        batch: Sequence[int],
        places: Sequence[int],
        sampling: Sampling,
        on_done: Callable[[int], None],
        fast: bool,
    ) -> list[list[int]]:
        batch_prompts, batch_limits = [prompts[index] for index in batch], [limits[index] for index in batch]
        if sampling.temperature == 0:
            draws = torch.zeros(len(batch), max(batch_limits), dtype=torch.float64)
        else:
            draws = torch.stack([uniforms(sampling.seed, places[index], max(batch_limits)) for index in batch])
        reported = 0

        def report(count: int) -> None:
            nonlocal reported
            reported += count
            on_done(count)

        def count_read(count: int) -> None:
            given = sum(map(len, batch_prompts))
            self._hits += Hits(given, given - count)

        def sample(known: PrefixCache | None, on_done: Callable[[int], None]) -> list[list[int]]:
            if not fast:
                count_read(sum(map(len, batch_prompts)))
                return self._sample_slowly(batch_prompts, batch_limits, places[batch[0]], sampling, on_done)
            ends, pad = self.end_ids, self.pad_id
            return decode(
                self.network, batch_prompts, batch_limits, draws, sampling, ends, pad, on_done, known, count_read
            )

        try:
            if self.prefix_cache is None or not self.prefix_cache.size:
                return sample(self.prefix_cache, on_done)
            try:
                return sample(self.prefix_cache, report)
            except torch.OutOfMemoryError:
                self.prefix_cache.clear()
            # The prefix cache took the room. Outside of `except`, so that no frame keeps the batch's cache alive.
            written = sample(None, _ignore)
            on_done(len(batch) - reported)
            return written
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"The device's memory does not hold a batch of {len(batch)} texts: lower --batch-tokens"
                f" (now {self._batch_tokens()})."
            ) from error

    def _sample_slowly(
        self,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        first: int,
        sampling: Sampling,
        on_done: Callable[[int], None],
    ) -> list[list[int]]:
        """Sample with the model's own `generate`, for architectures the loop does not support; seeded per batch."""
        width, device = max(map(len, prompts)), self.network.device
        ids = [[self.pad_id] * (width - len(prompt)) + [*prompt] for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        greedy = sampling.temperature == 0
        drawing: dict[str, float] = {
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
        }
        config = GenerationConfig(
            do_sample=not greedy,
            max_new_tokens=max(limits),
            eos_token_id=list(self.end_ids),
            pad_token_id=self.pad_id,
            **({} if greedy else drawing),
        )
        base = without_adapters(self.network)
        devices = [device] if device.type == "cuda" else []
        # `generate` fills gaps in a given configuration from the model's own, such as a repetition penalty.
        own_config, base.generation_config = base.generation_config, GenerationConfig()
        try:
            with torch.random.fork_rng(devices=devices):
                torch.manual_seed(stream_seed(sampling.seed, first))
                output = self.network.generate(
                    input_ids=torch.tensor(ids, device=device),
                    attention_mask=torch.tensor(mask, device=device),
                    generation_config=config,
                    logits_processor=_penalty(prompts, sampling, width),
                )
        finally:
            base.generation_config = own_config
        on_done(len(prompts))
        rows: list[list[int]] = output[:, width:].tolist()
        return [cut(row[:limit], self.end_ids) for row, limit in zip(rows, limits, strict=True)]


def _penalty(prompts: Sequence[Sequence[int]], sampling: Sampling, width: int) -> LogitsProcessorList:
    """The repetition penalty for `generate`, whose own counts a prompt's padding, often the end token, as repeated."""
    in_prompts: torch.Tensor | None = None

    def apply(ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        nonlocal in_prompts
        if in_prompts is None:
            in_prompts = seen_tokens(prompts, logits.shape[-1], logits.device)
        return penalised(logits, in_prompts.scatter(1, ids[:, width:], True), sampling.repetition_penalty)

    return LogitsProcessorList([] if sampling.repetition_penalty == 1 else [apply])


def configured_ends(network: Any) -> list[int]:
    """The end ids of a model's generation configuration."""
    configured = getattr(network.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return [int(token) for token in ids if token is not None]


def batches_of(prompts: Sequence[Sequence[int]], limits: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of prompts, longest first and equal ones adjacent, cut into batches.

    A batch's rows times the longest length any of them may reach is at most `batch_tokens`, unless it is one row.
    """
    order = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), tuple(prompts[index]), index))
    batch: list[int] = []
    longest = 0
    for index in order:
        total = len(prompts[index]) + limits[index]
        if batch and (len(batch) + 1) * max(longest, total) > batch_tokens:
            yield batch
            batch, longest = [], 0
        batch.append(index)
        longest = max(longest, total)
    if batch:
        yield batch


def cut(ids: Sequence[int], end_ids: Sequence[int]) -> list[int]:
    """`ids` up to and including the first end id.

    >>> cut([5, 6, 2, 0, 0], [2])
    [5, 6, 2]
    """
    for place, token in enumerate(ids):
        if token in end_ids:
            return list(ids[: place + 1])
    return list(ids)


def prefix_cache_bytes(device: torch.device) -> int:
    """The most bytes of keys and values to keep on a device."""
    if device.type != "cuda":
        return PREFIX_CACHE_BYTES
    return int(PREFIX_CACHE_SHARE * torch.cuda.get_device_properties(device).total_memory)


def _ignore(count: int) -> None:
    pass
