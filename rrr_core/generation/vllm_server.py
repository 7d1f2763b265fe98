"""A vLLM server as an engine of token ids: prompts go to its `/v1/completions` as ids, and sampled ids come back.

Weights are synced through a safetensors file that the server's workers load: from this machine's memory, or over the
network (see `vllm_sync`). This is the same on a CPU and on a GPU, and exact on both. Of LoRA the adapter alone is
synced if the server takes adapters (`--enable-lora`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from rrr_core.errors import ModelError
from rrr_core.generation.connection import Connection, Line, Refused, Unreadable, asked, connection_of
from rrr_core.generation.encoded import EncodedEngine
from rrr_core.generation.engine import Hits, Sampling
from rrr_core.generation.exchange import Reply
from rrr_core.generation.model_files import ModelFiles
from rrr_core.generation.pool import Server
from rrr_core.generation.replies import most_bytes, read_json
from rrr_core.generation.settings import ModelSettings
from rrr_core.generation.sync_address import read_address
from rrr_core.generation.vllm_adapter import AdapterNames, rank_of
from rrr_core.generation.vllm_calls import VllmCalls
from rrr_core.generation.vllm_logprobs import DrawnLogprobs
from rrr_core.generation.vllm_sync import WeightSync, check_kept
from rrr_core.seeds import request_seed


class VllmServerEngine(EncodedEngine):
    """A `vllm serve` as a TokenEngine, or several of one model; at most `concurrency` requests are in flight at a time.

    `files` are the model's own, for its tokenizer. A request goes to the least busy server, and has its own seed, as in
    VllmEngine. Cache hits are reported by servers that were started with `--enable-prompt-tokens-details`.
    `sync_address` is where this machine offers the weights of training, as in WeightSync.
    Raises ModelError if a server cannot be reached, or serves no such model.
    """

    def __init__(
        self,
        connection: Connection,
        files: ModelFiles,
        *,
        keeps_logprobs: bool = False,
        sync_address: str | None = None,
    ) -> None:
        self.connection, self.files, self.sync_address = connection, files, sync_address
        self._servers = [Server(address) for address in connection.addresses]
        self.calls = [VllmCalls(connection, server) for server in self._servers]
        contexts = [context for each in self.calls if (context := each.context()) is not None]
        super().__init__(files.tokenizer, files.model, files.end_ids, min(contexts, default=None), files.chat)
        self._hits = Hits()
        self.drawn, self.adapters = DrawnLogprobs(keeps_logprobs), AdapterNames()
        self.most_rank = 0
        """The highest rank of adapters that all servers take; 0 if one takes none."""
        self._sync: WeightSync | None = None
        self._counts: list[list[str]] | None = None
        """How many files of weights each server's workers have taken; None if the weights in use came otherwise."""
        if sync_address is not None:
            read_address(sync_address)
        if keeps_logprobs:
            self.most_rank = min(each.most_rank() for each in self.calls)
        else:
            for each in self.calls:
                each.check_untrained()

    def generate_ids(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
        places: Sequence[int] | None = None,
    ) -> list[list[int]]:
        """See TokenEngine. Raises ModelError if a prompt fills the context, or the server fails."""
        if not prompts:
            return []
        drawn_by = range(len(prompts)) if places is None else places
        limits = [self.limit_of(prompt, sampling) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda index: (tuple(prompts[index]), index))

        async def ask(line: Line, number: int) -> list[int]:
            index = order[number]
            seed = request_seed(sampling.seed, drawn_by[index])
            return await self._ask(line, prompts[index], sampling, limits[index], seed)

        answers = asked(self.connection, self._servers, len(prompts), ask, on_done)
        if self._counts is not None:
            check_kept(self.calls, self._counts)
        by_index = dict(zip(order, answers, strict=True))
        return [by_index[index] for index in range(len(prompts))]

    def sync_weights(self, network: Any) -> None:
        """Use this network's weights, as they are now, for all further texts; empties the prefix caches.

        No text is asked for before all servers have them. In distributed training the first process syncs the weights,
        while no other asks for texts. Raises ModelError if a server does not take them.
        """
        _wait_for_all()
        name = self._give(network) if _is_first() else None
        name, self._counts = _from_first((name, self._taken(name)) if _is_first() else None)
        self.adapters.current = name
        self.drawn.forget()

    @property
    def takes_weights(self) -> bool:
        """Whether this is the first process."""
        return _is_first()

    @property
    def prefix_cache_hits(self) -> Hits:
        """Over all prompts with hits reported by the server."""
        return self._hits

    @property
    def keeps_logprobs(self) -> bool:
        """Whether the engine was opened beside a policy."""
        return self.drawn.are_kept

    def logprobs_of(self, prompt: Sequence[int], written: Sequence[int]) -> list[float]:
        """The log-probability of each id of a text, as it was drawn; see VllmEngine."""
        return self.drawn.of(prompt, written)

    def describe(self) -> dict[str, object]:
        """What a manifest records: name, family, source of the weights, tokenizer, the server's address."""
        return {
            **self.described("vllm", self.files.source),
            "base_url": self.connection.shown(),
        }

    async def _ask(self, line: Line, prompt: Sequence[int], sampling: Sampling, limit: int, seed: int) -> list[int]:
        body = {
            "model": self.adapters.current or self.connection.model,
            "prompt": list(prompt),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "repetition_penalty": sampling.repetition_penalty,
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "max_tokens": limit,
            "seed": seed,
            "logprobs": 0 if self.drawn.are_kept else None,
            "stop_token_ids": list(self.end_ids),
            "return_token_ids": True,
        }

        def read(reply: Reply) -> list[int]:
            return self._read(prompt, read_json(reply), reply.body)

        try:
            written, _ = await line.post("/completions", body, most_bytes(limit), read)
        except Refused as refused:
            self.connection.refuse(refused)
        except Unreadable as unreadable:
            raise self._without_ids(unreadable.body) from unreadable
        return written

    def _read(self, prompt: Sequence[int], body: Mapping[str, Any], said: bytes) -> list[int]:
        """The sampled ids in an answer; hits are counted, log-probabilities kept. Raises ModelError without ids."""
        try:
            choice = body["choices"][0]
            written = [int(token) for token in choice["token_ids"]]
            details = (body.get("usage") or {}).get("prompt_tokens_details") or {}
            cached = details.get("cached_tokens")
            hits = None if cached is None else Hits(len(prompt), int(cached))
            logprobs = [float(each) for each in choice["logprobs"]["token_logprobs"]] if self.drawn.are_kept else []
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise self._without_ids(said) from error
        if hits is not None:
            self._hits += hits
        self.drawn.keep(prompt, written, logprobs)
        return written

    def _without_ids(self, said: bytes) -> ModelError:
        return ModelError(
            f"{self._who} answered without token ids, as only vLLM gives them: {self.connection.safe(said, 120)!r}."
            " Use --backend server for other servers."
        )

    def _give(self, network: Any) -> str | None:
        """Give the servers the weights; the name of the adapter where it alone was sent."""
        if self._sync is None:
            self._sync = WeightSync(self.calls, self.sync_address)
        rank = rank_of(network)
        if rank is None or rank > self.most_rank:
            self._sync.give(network)
            return None
        name = self.adapters.next()
        self._sync.give_adapter(network, name, self.adapters.current)
        return name

    def _taken(self, name: str | None) -> list[list[str]] | None:
        """How many files the servers have taken. A server that lost an adapter refuses its name, so none counts."""
        return None if name else [each.weight_counts() for each in self.calls]

    @property
    def _who(self) -> str:
        addresses = self.connection.shown()
        return f"The server {addresses if isinstance(addresses, str) else ' or '.join(addresses)}"


def connect(settings: ModelSettings, files: ModelFiles, *, keeps_logprobs: bool) -> VllmServerEngine:
    """The engine at the settings' base URL, for the model with these files. Raises ModelError as the class does."""
    if settings.sync_address is not None and not keeps_logprobs:
        raise ModelError("--sync-address is where training offers its weights: leave it out.")
    return VllmServerEngine(
        connection_of(settings), files, keeps_logprobs=keeps_logprobs, sync_address=settings.sync_address
    )


def _is_first() -> bool:
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def _wait_for_all() -> None:
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        torch.distributed.barrier()


def _from_first(value: Any) -> Any:
    """The first process's value, in all; also waits for the first."""
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
        return value
    holder = [value]
    torch.distributed.broadcast_object_list(holder)
    return holder[0]
