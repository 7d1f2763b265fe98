"""A vLLM server as an engine of token ids: prompts go to its `/v1/completions` as ids, and sampled ids come back.

Weights are synced through a safetensors file that the server's workers load, so the server must run on this machine.
This is the same on a CPU and on a GPU, and exact on both.
"""

from __future__ import annotations

import json
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openai
import torch
from safetensors.torch import save_file

from rrr_core.errors import ModelError
from rrr_core.generation.addresses import shown
from rrr_core.generation.connection import Connection
from rrr_core.generation.encoded import EncodedEngine
from rrr_core.generation.engine import Hits, Sampling
from rrr_core.generation.model_files import ModelFiles
from rrr_core.generation.settings import ModelSettings
from rrr_core.generation.vllm_logprobs import DrawnLogprobs
from rrr_core.generation.vllm_weights import file_weights
from rrr_core.seeds import request_seed
from rrr_core.text import one_line

COMMAND = (
    "VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --worker-extension-cls rrr_core.generation.vllm_worker.WeightFile"
    " --logprobs-mode processed_logprobs --enable-prompt-tokens-details"
)
"""The command that starts a server for training."""
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
        self.root = connection.base_url.rstrip("/").removesuffix("/v1")
        super().__init__(files.tokenizer, files.model, files.end_ids, self._context(), files.chat)
        self._hits = Hits()
        self.drawn = DrawnLogprobs(keeps_logprobs)
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

        async def ask(client: openai.AsyncOpenAI, number: int) -> list[int]:
            index = order[number]
            seed = request_seed(sampling.seed, drawn_by[index])
            return await self._ask(client, prompts[index], sampling, limits[index], seed)

        answers = self.connection.ask_all(len(prompts), ask, on_done)
        by_index = dict(zip(order, answers, strict=True))
        return [by_index[index] for index in range(len(prompts))]

    def sync_weights(self, network: Any) -> None:
        """Use this network's weights, as they are now, for all further texts; empties the prefix cache.

        In distributed training the first process syncs the weights, while no other asks for texts.
        """
        _wait_for_all()
        if _is_first():
            self._give(network)
        _wait_for_all()
        self.drawn.forget()

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
            "base_url": shown(self.connection.base_url),
        }

    async def _ask(
        self, client: openai.AsyncOpenAI, prompt: Sequence[int], sampling: Sampling, limit: int, seed: int
    ) -> list[int]:
        try:
            answer = await client.completions.with_raw_response.create(
                model=self.connection.model,
                prompt=list(prompt),
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=limit,
                seed=seed,
                logprobs=0 if self.drawn.are_kept else None,
                # Overrides every default that a model's own `generation_config` could set.
                presence_penalty=0,
                frequency_penalty=0,
                extra_body={
                    "top_k": sampling.top_k,
                    "min_p": sampling.min_p,
                    "repetition_penalty": sampling.repetition_penalty,
                    "stop_token_ids": list(self.end_ids),
                    "return_token_ids": True,
                },
            )
        except openai.OpenAIError as error:
            raise ModelError(self.connection.what_failed(error)) from error
        return self._read(prompt, answer.http_response.text)

    def _read(self, prompt: Sequence[int], text: str) -> list[int]:
        """The sampled ids in an answer; hits are counted, log-probabilities kept. Raises ModelError without ids."""
        try:
            body = json.loads(text)
            choice = body["choices"][0]
            written = [int(token) for token in choice["token_ids"]]
            details = (body.get("usage") or {}).get("prompt_tokens_details") or {}
            logprobs = choice["logprobs"]["token_logprobs"] if self.drawn.are_kept else []
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ModelError(
                f"The server {shown(self.connection.base_url)} answered without token ids, as only vLLM gives them:"
                f" {self.connection.safe(text, 120)!r}. Use --backend server for other servers."
            ) from error
        if (cached := details.get("cached_tokens")) is not None:
            self._hits += Hits(len(prompt), int(cached))
        self.drawn.keep(prompt, written, logprobs)
        return written

    def _give(self, network: Any) -> None:
        folder = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="rrr-weights-", dir=folder) as place:
            path = Path(place) / "weights.safetensors"
            save_file({name: weight.contiguous().cpu() for name, weight in file_weights(network)}, path)
            self._call("/collective_rpc", {"method": "take_weight_file", "args": [str(path)]})
        if not self._call("/reset_prefix_cache", {}).get("success", True):
            raise ModelError("The server did not empty its prefix cache, which the old weights computed.")

    def _context(self) -> int | None:
        """The served model's context. Raises ModelError if the server has no such model."""
        models = self._call("/v1/models").get("data", [])
        for model in models:
            if model.get("id") == self.connection.model:
                context = model.get("max_model_len")
                return None if context is None else int(context)
        names = ", ".join(str(model.get("id")) for model in models)
        raise ModelError(
            f"The server {shown(self.connection.base_url)} serves no model {self.connection.model!r}, but"
            f" {self.connection.safe(names)}: name it so, or serve it with --served-model-name."
        )

    def _check_trainable(self) -> None:
        """Raise ModelError for a server that cannot take weights, or reports other log-probabilities than it uses."""
        config = self._call("/server_info?config_format=json").get("vllm_config", {})
        mode, extension = config.get("model_config", {}).get("logprobs_mode"), _extension(config)
        if mode != "processed_logprobs" or not extension.endswith(EXTENSION):
            raise ModelError(
                f"The server {shown(self.connection.base_url)} cannot be trained with (its --logprobs-mode is {mode},"
                f" its --worker-extension-cls {extension or 'not set'}): start it with `{COMMAND}`."
            )

    def _check_untrained(self) -> None:
        """Raise ModelError for a server that still has the weights of a training run."""
        try:
            config = self._call("/server_info?config_format=json").get("vllm_config", {})
        except ModelError:  # a server that does not say
            return
        if not _extension(config).endswith(EXTENSION):
            return
        if set(self._call("/collective_rpc", {"method": "count_weight_files"})["results"]) != {"0"}:
            raise ModelError(
                f"The server {shown(self.connection.base_url)} has the weights of a training run, not those of"
                f" {self.connection.model!r}: start it again."
            )

    def _call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request to the server besides completions: GET, or POST with a body. Raises ModelError."""
        who = f"The server {shown(self.connection.base_url)}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is one of http or https
            self.root + path, data=data, headers={"Content-Type": "application/json", **self.connection.authorization}
        )
        try:
            with urllib.request.urlopen(request, timeout=self.connection.timeout) as answer:  # noqa: S310
                return dict(json.loads(answer.read() or b"{}"))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise ModelError(f"{who} has no {path}: start it with `{COMMAND}`.") from error
            said = self.connection.safe(error.read().decode(errors="replace"))
            raise ModelError(f"{who} failed at {path} (HTTP {error.code}: {said}): see its log.") from error
        except (OSError, ValueError) as error:
            raise ModelError(f"{who} cannot be asked for {path} ({one_line(error, 120)}): is it running?") from error


def connect(settings: ModelSettings, files: ModelFiles, *, keeps_logprobs: bool) -> VllmServerEngine:
    """The engine at the settings' base URL, for the model with these files. Raises ModelError as the class does."""
    connection = Connection(
        base_url=settings.base_url or "",
        model=settings.named,
        api_key_env=settings.api_key_env,
        timeout=settings.timeout,
        retries=settings.retries,
        concurrency=settings.concurrency,
    )
    return VllmServerEngine(connection, files, keeps_logprobs=keeps_logprobs)


def _extension(config: dict[str, Any]) -> str:
    return str(config.get("parallel_config", {}).get("worker_extension_cls") or "")


def _is_first() -> bool:
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def _wait_for_all() -> None:
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        torch.distributed.barrier()
