"""The decoding loop against the library's own `generate`, and its draws against the distribution asked for."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

import transformers
from transformers.generation.logits_process import TopKLogitsWarper, TopPLogitsWarper

from rrr_core.errors import ModelError
from rrr_core.generation.base import Sampling
from rrr_core.generation.decoding import can_decode, choose, filtered, uniforms
from rrr_core.generation.transformers_generator import TransformersGenerator, cut
from rrr_core.hookspecs import Model

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.3}
WIDE = {**SMALL, "intermediate_size": 64, "num_key_value_heads": 2}
ARCHITECTURES = {
    "llama": ("llama", WIDE),
    "mistral, sliding window": ("mistral", {**WIDE, "sliding_window": 8}),
    "qwen2": ("qwen2", WIDE),
    "qwen3": ("qwen3", {**WIDE, "head_dim": 8}),
    "gemma2, alternating windows": ("gemma2", {**WIDE, "head_dim": 8, "sliding_window": 8}),
    "phi3": ("phi3", WIDE),
    "gpt2, learned positions": ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.3}),
    "gpt-neox": ("gpt_neox", {**SMALL, "intermediate_size": 64}),
}
OTHERS = {
    "bloom, no position ids": ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.3}),
    "mamba, a state": ("mamba", {"hidden_size": 32, "num_hidden_layers": 2, "initializer_range": 0.3}),
}


def model_of(architecture: tuple[str, dict[str, Any]], tokenizer: Any) -> Any:
    model_type, sizes = architecture
    config = transformers.AutoConfig.for_model(
        model_type,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        **sizes,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = transformers.AutoModelForCausalLM.from_config(config).eval()
    network.generation_config.eos_token_id = [tokenizer.eos_token_id, *range(100, 130)]
    return network


def alone(network: Any, prompt: list[int], count: int) -> list[int]:
    """What the library writes greedily on one prompt, without batch or padding."""
    ids = torch.tensor([prompt])
    output = network.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=count, pad_token_id=0
    )
    return cut(output[0, len(prompt) :].tolist(), network.generation_config.eos_token_id)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_loop_writes_greedily_what_generate_writes(name: str, tokenizer: Any, prompts: list[list[int]]) -> None:
    network = model_of(ARCHITECTURES[name], tokenizer)
    assert can_decode(network)
    generator = TransformersGenerator(network, tokenizer, Model("tiny"))
    written = generator.generate_ids(prompts, Sampling(temperature=0, max_tokens=24))
    assert written == [alone(network, prompt, 24) for prompt in prompts]
    assert len({len(ids) for ids in written}) > 1
