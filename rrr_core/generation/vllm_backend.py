"""The vLLM engine: a model in this process, with vLLM's prefix cache.

The engine starts from the model's files, and `sync_weights` gives it the weights of a network in training. Prompts with
a common prefix are requested together, so that it is prefilled once and then found in vLLM's prefix cache. Where the
chat template allows it (see `rrr_core.chat.format`), a task's attempt, reflection and retry extend each other exactly,
so the cache holds nearly all of a retry's prompt.
"""

from __future__ import annotations

import dataclasses
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from rrr_core.errors import ModelError
from rrr_core.generation.encoded import EncodedEngine
from rrr_core.generation.engine import Hits, Sampling, TokenEngine
from rrr_core.generation.model_files import ModelFiles, files_of, read_files
from rrr_core.generation.settings import ModelSettings
from rrr_core.generation.transformers_backend import is_adapter, load_from
from rrr_core.generation.transformers_engine import TransformersEngine
from rrr_core.generation.vllm_logprobs import DrawnLogprobs
from rrr_core.generation.vllm_start import engine_arguments, release, start_engine, vllm_version
from rrr_core.generation.vllm_weights import file_weights, take_weights
from rrr_core.processes.memory import machine_bytes
from rrr_core.seeds import request_seed
from rrr_core.text import one_line

if TYPE_CHECKING:
    from rrr_core.generation.vllm_server import VllmServerEngine

WAVE = 1024
"""Prompts given to the engine at a time, so that progress shows; as many as vLLM decodes at once on a large GPU."""


class VllmEngine(EncodedEngine):
    """A `vllm.LLM` as a TokenEngine.

    Each text has its own seed, a pure function of `Sampling.seed` and the prompt's place. The same calls on the same
    machine give the same texts; how vLLM batches them changes the last bits of its logits, and so, now and then, a
    text.
    """

    def __init__(self, engine: Any, files: ModelFiles, *, keeps_logprobs: bool = False) -> None:
        config = engine.llm_engine.model_config
        super().__init__(files.tokenizer, files.model, files.end_ids, int(config.max_model_len), files.chat)
        self.engine, self.files, self.drawn = engine, files, DrawnLogprobs(keeps_logprobs)
        self.dtype = str(config.dtype).removeprefix("torch.")
        self._hits = Hits()
        weakref.finalize(self, release, [engine])

    def generate_ids(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
        places: Sequence[int] | None = None,
    ) -> list[list[int]]:
        """See TokenEngine. Raises ModelError if a prompt fills the context, or vLLM fails."""
        places = range(len(prompts)) if places is None else places
        limits = [self.limit_of(prompt, sampling) for prompt in prompts]
        results: list[list[int]] = [[] for _ in prompts]
        for wave in waves_of(prompts, WAVE):
            outputs = self._write(
                [prompts[index] for index in wave],
                [self._parameters(sampling, limits[index], places[index]) for index in wave],
            )
            for index, output in zip(wave, outputs, strict=True):
                results[index] = self._keep(prompts[index], output)
            if on_done is not None:
                on_done(len(wave))
        return results

    def sync_weights(self, network: Any) -> None:
        """Use this network's weights, as they are now, for all further texts; empties the prefix cache."""
        self.engine.apply_model(lambda model: take_weights(model, file_weights(network)))
        self.drawn.forget()
        if not self.engine.reset_prefix_cache():
            raise ModelError("vLLM did not empty its prefix cache, which the old weights computed.")

    @property
    def prefix_cache_hits(self) -> Hits:
        """Over all prompts so far."""
        return self._hits

    @property
    def keeps_logprobs(self) -> bool:
        """Whether the engine was opened beside a policy."""
        return self.drawn.are_kept

    def logprobs_of(self, prompt: Sequence[int], written: Sequence[int]) -> list[float]:
        """The log-probability of each id of a text, as it was drawn; see `TokenEngine.logprobs_of`.

        For texts written since the last weight sync, if the engine keeps log-probabilities.
        """
        return self.drawn.of(prompt, written)

    def describe(self) -> dict[str, object]:
        """What a manifest records: name, family, source of the weights, tokenizer, dtype, device, versions."""
        return {
            **self.described("vllm", self.files.source),
            "dtype": self.dtype,
            "device": "cuda" if torch.cuda.is_available() else "cpu",
            "vllm": vllm_version(),
            "torch": version("torch"),
        }

    def _parameters(self, sampling: Sampling, limit: int, place: int) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            repetition_penalty=sampling.repetition_penalty,
            max_tokens=limit,
            seed=request_seed(sampling.seed, place),
            stop_token_ids=list(self.end_ids),
            detokenize=False,
            logprobs=0 if self.drawn.are_kept else None,
        )

    def _write(self, prompts: Sequence[Sequence[int]], parameters: list[Any]) -> list[Any]:
        requests = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        try:
            outputs: list[Any] = self.engine.generate(requests, parameters, use_tqdm=False)
        except Exception as error:  # whatever stops vLLM's engine, which cannot run again afterwards
            raise ModelError(f"vLLM {vllm_version()} failed on {len(prompts)} prompts: {one_line(error)}") from error
        return outputs

    def _keep(self, prompt: Sequence[int], output: Any) -> list[int]:
        """The ids in one output of the engine; its cache hits are counted and its log-probabilities kept."""
        written = [int(token) for token in output.outputs[0].token_ids]
        self._hits += Hits(len(prompt), output.num_cached_tokens or 0)
        logprobs = output.outputs[0].logprobs if self.drawn.are_kept else []
        self.drawn.keep(
            prompt, written, [position[token].logprob for token, position in zip(written, logprobs, strict=False)]
        )
        return written


def load_vllm(settings: ModelSettings) -> TokenEngine:
    """The model the settings name: in this process, with its adapter if it has one; or at a server.

    Raises ModelError, in one line, if the model cannot be loaded, or vLLM is not installed or refuses it.
    """
    if settings.base_url:
        return _connect(settings, read_files(settings), keeps_logprobs=False)
    if settings.adapter is None and not is_adapter(settings.named):
        files = read_files(settings)
        return VllmEngine(_start(files, settings, beside_training=False), files)
    adapted = load_from(dataclasses.replace(settings, device="cpu"))
    files = files_of(adapted, settings)
    engine = VllmEngine(_start(files, settings, beside_training=False), files)
    engine.sync_weights(adapted.network)
    return engine


def open_beside(policy: TransformersEngine, settings: ModelSettings) -> TokenEngine:
    """An engine for a policy trained from the model the settings name: in this process, or at a server.

    It starts with the weights of the model's files; `sync_weights` gives it the policy's.
    Raises ModelError as `load_vllm`.
    """
    files = files_of(policy, settings)
    if settings.base_url:
        return _connect(settings, files, keeps_logprobs=True)
    return VllmEngine(_start(files, settings, beside_training=True), files, keeps_logprobs=True)


def _connect(settings: ModelSettings, files: ModelFiles, keeps_logprobs: bool) -> VllmServerEngine:
    if settings.adapter is not None:
        raise ModelError("An adapter cannot be put on a server's model: serve the merged model, and leave it out.")
    try:
        from rrr_core.generation.vllm_server import connect
    except ModuleNotFoundError as error:
        raise ModelError(
            f"To ask a server for texts, rrr needs the package {error.name!r}: pip install 'rrr-core[server]'."
        ) from error
    return connect(settings, files, keeps_logprobs=keeps_logprobs)


def _start(files: ModelFiles, settings: ModelSettings, beside_training: bool) -> Any:
    if settings.sync_address is not None:
        raise ModelError("--sync-address is for vLLM servers: give --base-url as well, or leave it out.")
    arguments = engine_arguments(
        dtype=settings.dtype,
        revision=files.commit,
        gpu_share=settings.gpu_share,
        beside_training=beside_training,
        cuda=torch.cuda.is_available(),
        machine_bytes=machine_bytes(),
        processes=int(os.environ.get("WORLD_SIZE", "1")),
    )
    return start_engine(files.name, arguments)


def waves_of(prompts: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Indices of the prompts, those with a common prefix adjacent, `size` at a time.

    >>> list(waves_of([[1, 2], [3], [1, 2, 9], [1, 2]], 3))
    [[0, 3, 2], [1]]
    """
    order = sorted(range(len(prompts)), key=lambda index: (tuple(prompts[index]), index))
    for start in range(0, len(order), size):
        yield order[start : start + size]
