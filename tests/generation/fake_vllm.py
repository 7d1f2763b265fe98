"""A fake vLLM: its engine is a transformers network, its prefix cache the set of blocks it has read."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@dataclass
class SamplingParams:
    """vLLM's own refuses unknown arguments as well."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float
    max_tokens: int
    seed: int
    stop_token_ids: list[int]
    detokenize: bool
    logprobs: int | None


@dataclass
class Model:
    """The weights of vLLM's model, loaded by the names in the model's files."""

    network: Any
    forgets: str | None = None
    """A parameter that the loader does not load."""
    loads: int = 0

    def named_parameters(self) -> Any:
        return self.network.named_parameters()

    def load_weights(self, weights: Any) -> set[str]:
        self.loads += 1
        own = dict(self.network.named_parameters())
        taken = set()
        for name, weight in weights:
            if name != self.forgets:
                own[name].data.copy_(weight)
                taken.add(name)
        return taken


@dataclass
class Played:
    """What the fake should do wrong, and what it was asked."""

    refuses: Exception | None = None
    fails: Exception | None = None
    keeps_cache: bool = False
    context: int | None = None
    forgets: str | None = None
    shut_down: list[str] = field(default_factory=list)
    arguments: list[dict[str, Any]] = field(default_factory=list)
    parameters: list[SamplingParams] = field(default_factory=list)
    prompts: list[list[int]] = field(default_factory=list)


def make_llm(played: Played) -> type:
    class LLM:
        def __init__(self, model: str, **arguments: Any) -> None:
            import torch
            from transformers import AutoModelForCausalLM

            played.arguments.append({"model": model, **arguments})
            if played.refuses is not None:
                raise played.refuses
            torch.manual_seed(arguments["seed"])  # as vLLM does
            network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
            context = played.context or network.config.max_position_embeddings
            config = SimpleNamespace(max_model_len=context, dtype=torch.float32)
            core = SimpleNamespace(shutdown=lambda: played.shut_down.append(model))
            self.llm_engine = SimpleNamespace(model_config=config, engine_core=core)
            self.model = Model(network, played.forgets)
            self.block = arguments["block_size"]
            self.cache: set[tuple[int, ...]] = set()

        def generate(self, prompts: Any, parameters: Any, use_tqdm: bool) -> list[Any]:
            assert not use_tqdm
            if played.fails is not None:
                raise played.fails
            return [
                self.write(prompt["prompt_token_ids"], one) for prompt, one in zip(prompts, parameters, strict=True)
            ]

        def write(self, prompt: list[int], parameters: SamplingParams) -> Any:
            import torch

            played.prompts.append(prompt)
            played.parameters.append(parameters)
            # At least one token is read, or there would be nothing to sample from.
            whole = [tuple(prompt[:end]) for end in range(self.block, len(prompt), self.block)]
            cached = max((len(block) for block in whole if block in self.cache), default=0)
            source = torch.Generator().manual_seed(parameters.seed)
            written: list[int] = []
            logprobs: list[Any] = []
            while len(written) < parameters.max_tokens and not (written and written[-1] in parameters.stop_token_ids):
                with torch.no_grad():
                    logits = self.model.network(torch.tensor([prompt + written])).logits[0, -1]
                chances = (logits / (parameters.temperature or 1)).log_softmax(-1)
                drawn = (
                    torch.multinomial(chances.exp(), 1, generator=source)
                    if parameters.temperature
                    else chances.argmax()
                )
                written.append(int(drawn))
                logprobs.append({written[-1]: SimpleNamespace(logprob=float(chances[written[-1]]))})
            text = prompt + written
            self.cache |= {tuple(text[:end]) for end in range(self.block, len(text), self.block)}
            output = SimpleNamespace(
                token_ids=tuple(written), logprobs=logprobs if parameters.logprobs is not None else None
            )
            return SimpleNamespace(outputs=[output], num_cached_tokens=cached)

        def apply_model(self, change: Any) -> list[Any]:
            return [change(self.model)]

        def reset_prefix_cache(self) -> bool:
            if not played.keeps_cache:
                self.cache.clear()
            return not played.keeps_cache

    return LLM


def install(monkeypatch: pytest.MonkeyPatch) -> Played:
    """Replace vLLM by the fake; TRL, which looks for vLLM at import, must be imported first."""
    pytest.importorskip("torch")
    import trl.generation.vllm_generation  # noqa: F401

    played = Played()
    modules = {name: ModuleType(name) for name in ("vllm", "vllm.model_executor", "vllm.model_executor.layers")} | {
        "vllm.model_executor.layers.utils": ModuleType("vllm.model_executor.layers.utils")
    }
    modules["vllm"].__dict__.update(LLM=make_llm(played), SamplingParams=SamplingParams)
    modules["vllm.model_executor.layers"].__dict__["utils"] = modules["vllm.model_executor.layers.utils"]
    for name, module in modules.items():
        module.__spec__ = ModuleSpec(name, None, is_package=True)
        monkeypatch.setitem(sys.modules, name, module)
    return played
