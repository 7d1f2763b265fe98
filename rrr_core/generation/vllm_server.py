"""A vLLM server as an engine of token ids: prompts go to its `/v1/completions` as ids, and sampled ids come back.

Weights are synced through a safetensors file that the server's workers load, so the server must run on this machine.
This is the same on a CPU and on a GPU, and exact on both. Of LoRA the adapter alone is synced if the server takes
adapters (`--enable-lora`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from rrr_core.errors import ModelError
from rrr_core.generation.connection import Connection, Line, Refused, Unreadable, asked, called, connection_of
from rrr_core.generation.encoded import EncodedEngine
from rrr_core.generation.engine import Hits, Sampling
from rrr_core.generation.exchange import Reply
from rrr_core.generation.model_files import ModelFiles
from rrr_core.generation.pool import Server
from rrr_core.generation.replies import most_bytes, read_json
from rrr_core.generation.settings import ModelSettings
from rrr_core.generation.vllm_adapter import AdapterNames, rank_of, write_adapter
from rrr_core.generation.vllm_logprobs import DrawnLogprobs
from rrr_core.generation.vllm_weights import file_weights
from rrr_core.seeds import request_seed

COMMAND = (
    "VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --worker-extension-cls rrr_core.generation.vllm_worker.WeightFile"
    " --logprobs-mode processed_logprobs --enable-prompt-tokens-details"
)
"""The command that starts a server for training."""
ADAPTER_COMMAND = f"VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 {COMMAND} --enable-lora --max-lora-rank RANK"
"""The command that starts a server for training of which adapters alone are synced."""
MOST_BYTES = 16 << 20
"""The longest answer to anything but a prompt: a server's settings, a list of its models."""
EXTENSION = "vllm_worker.WeightFile"
"""The suffix of the worker extension that takes weights in the server."""
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108
"""Where Linux keeps files in memory: the best place for weights in transit."""


class VllmServerEngine(EncodedEngine):
    """A `vllm serve` as a TokenEngine; at most `concurrency` requests are in flight at a time.

    `files` are the model's own, for its tokenizer. Each request has its own seed, as in VllmEngine. Cache hits are
    reported if the server was started with `--enable-prompt-tokens-details`.
    Raises ModelError if the server cannot be reached, or serves no such model.
    """

    def __init__(self, connection: Connection, files: ModelFiles, *, keeps_logprobs: bool = False) -> None:
        self.connection, self.files = connection, files
        self._server = Server(connection.addresses[0])
        super().__init__(files.tokenizer, files.model, files.end_ids, self._context(), files.chat)
        self._hits = Hits()
        self.drawn, self.adapters = DrawnLogprobs(keeps_logprobs), AdapterNames()
        self.most_rank = 0
        """The highest rank of adapters that the server takes; 0 if it takes none."""
        if keeps_logprobs:
            self._check_trainable()
        else:
            self._check_untrained()

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

        answers = asked(self.connection, [self._server], len(prompts), ask, on_done)
        by_index = dict(zip(order, answers, strict=True))
        return [by_index[index] for index in range(len(prompts))]

    def sync_weights(self, network: Any) -> None:
        """Use this network's weights, as they are now, for all further texts; empties the prefix cache.

        In distributed training the first process syncs the weights, while no other asks for texts.
        """
        _wait_for_all()
        rank = rank_of(network)
        takes_adapter = rank is not None and rank <= self.most_rank
        name = self.adapters.next() if takes_adapter else None
        if _is_first():
            self._give_adapter(network, name) if name else self._give(network)
        _wait_for_all()
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

    def _give(self, network: Any) -> None:
        with _in_memory() as place:
            path = place / "weights.safetensors"
            save_file({name: weight.contiguous().cpu() for name, weight in file_weights(network)}, path)
            self._call("/collective_rpc", {"method": "take_weight_file", "args": [str(path)]})
        self._empty_cache()

    def _give_adapter(self, network: Any, name: str) -> None:
        with _in_memory() as place:
            write_adapter(network, place)
            self._ask_plainly("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(place)})
        if self.adapters.current is not None:
            self._ask_plainly("/v1/unload_lora_adapter", {"lora_name": self.adapters.current})
        self._empty_cache()

    def _empty_cache(self) -> None:
        if not self._call("/reset_prefix_cache", {}).get("success", True):
            raise ModelError("The server did not empty its prefix cache, which the old weights computed.")

    def _context(self) -> int | None:
        """The served model's context. Raises ModelError if the server has no such model."""
        models = self._call("/v1/models").get("data")
        names = []
        for model in models if isinstance(models, list) else []:
            names.append(str(_at(model, "id")))
            if names[-1] == self.connection.model:
                context = _at(model, "max_model_len")
                return context if isinstance(context, int) else None
        raise ModelError(
            f"{self._who} serves no model {self.connection.model!r}, but"
            f" {self.connection.safe(', '.join(names))}: name it so, or serve it with --served-model-name."
        )

    def _check_trainable(self) -> None:
        """Raise ModelError for a server that cannot take weights, or reports other log-probabilities than it uses."""
        info = self._call("/server_info?config_format=json")
        mode, extension = _at(info, "vllm_config", "model_config", "logprobs_mode"), _extension(info)
        if mode != "processed_logprobs" or not extension.endswith(EXTENSION):
            raise ModelError(
                f"{self._who} cannot be trained with (its --logprobs-mode is {mode},"
                f" its --worker-extension-cls {extension or 'not set'}): start it with `{COMMAND}`."
            )
        most = _at(info, "vllm_config", "lora_config", "max_lora_rank")
        self.most_rank = most if isinstance(most, int) else 0

    def _check_untrained(self) -> None:
        """Raise ModelError for a server that still has the weights of a training run."""
        try:
            info = self._call("/server_info?config_format=json")
        except ModelError:  # a server that does not say
            return
        if not _extension(info).endswith(EXTENSION):
            return
        counts = self._call("/collective_rpc", {"method": "count_weight_files"}).get("results")
        if counts != ["0"] * (len(counts) if isinstance(counts, list) else 0):
            raise ModelError(
                f"{self._who} has the weights of a training run, not those of"
                f" {self.connection.model!r}: start it again."
            )

    def _call(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request to the server besides completions: GET, or POST with a body. Raises ModelError."""
        reply = self._ask_plainly(path, body)
        if not reply.body:
            return {}
        try:
            return read_json(reply)
        except Unreadable as unreadable:
            said = self.connection.safe(reply.body, 120)
            raise ModelError(f"{self._who} answers {path} with no JSON ({said!r}): is it vLLM?") from unreadable

    def _ask_plainly(self, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        """As `_call`, whatever the answer is."""
        reply = called(self.connection, self._server, path, body, MOST_BYTES)
        if reply.status == 404:
            command = ADAPTER_COMMAND if path.endswith("_lora_adapter") else COMMAND
            raise ModelError(f"{self._who} has no {path}: start it with `{command}`.")
        if not 200 <= reply.status < 300:
            said = self.connection.safe(reply.body)
            raise ModelError(f"{self._who} failed at {path} (HTTP {reply.status}: {said}): see its log.")
        return reply

    @property
    def _who(self) -> str:
        return f"The server {self.connection.shown()}"


def connect(settings: ModelSettings, files: ModelFiles, *, keeps_logprobs: bool) -> VllmServerEngine:
    """The engine at the settings' base URL, for the model with these files. Raises ModelError as the class does."""
    if len(settings.base_url) > 1:
        raise ModelError(
            "The vllm backend takes one --base-url, since a server's weights and log-probabilities are its own: give"
            " one, or use --backend server."
        )
    return VllmServerEngine(connection_of(settings), files, keeps_logprobs=keeps_logprobs)


def _extension(info: Mapping[str, Any]) -> str:
    return str(_at(info, "vllm_config", "parallel_config", "worker_extension_cls") or "")


def _at(value: Any, *keys: str) -> Any:
    """What lies under the keys of nested objects; None where a server sent something else."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


@contextmanager
def _in_memory() -> Iterator[Path]:
    """A folder for weights in transit, which is gone at the end."""
    folder = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="rrr-weights-", dir=folder) as place:
        yield Path(place)


def _is_first() -> bool:
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def _wait_for_all() -> None:
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        torch.distributed.barrier()
