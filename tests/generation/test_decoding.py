"""The decoding loop against the library's own `generate`, and its draws against the requested distribution."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

import transformers
from transformers.generation.logits_process import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from rrr_core.errors import ModelError
from rrr_core.generation.decoding import can_decode, choose, decodes_beyond_window, filtered, serves, uniforms
from rrr_core.generation.engine import Sampling
from rrr_core.generation.kv_cache import CACHE_ARGUMENTS, cache_argument
from rrr_core.generation.transformers_engine import TransformersEngine, cut
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


def renamed(kind: Any, name: str) -> type:
    """The same architecture, with this name for its cache."""
    before = inspect.signature(kind.forward).parameters
    own = next(each for each in CACHE_ARGUMENTS if each in before)

    def forward(self: Any, **given: Any) -> Any:
        return kind.forward(self, **{own if each == name else each: value for each, value in given.items()})

    names = [name if each == own else each for each in before if each != "kwargs"]
    parameters = [inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD) for each in names]
    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return type("Renamed", (kind,), {"forward": forward})


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
    engine = TransformersEngine(network, tokenizer, Model("tiny"))
    assert engine.notice is None
    written = engine.generate_ids(prompts, Sampling(temperature=0, max_tokens=24))
    assert written == [alone(network, prompt, 24) for prompt in prompts]
    assert len({len(ids) for ids in written}) > 1


@pytest.mark.parametrize("name", CACHE_ARGUMENTS)
def test_a_model_may_call_its_cache_by_either_name(name: str, tokenizer: Any, prompts: list[list[int]]) -> None:
    network = model_of(ARCHITECTURES["llama"], tokenizer)
    engine = TransformersEngine(network, tokenizer, Model("tiny"))
    sampling = Sampling(temperature=0, max_tokens=12)
    written = engine.generate_ids(prompts, sampling)
    network.__class__ = renamed(type(network), name)
    assert cache_argument(network) == name
    assert can_decode(network)
    assert engine.generate_ids(prompts, sampling) == written


@pytest.mark.parametrize("name", OTHERS)
def test_an_architecture_the_loop_does_not_support_uses_generate(name: str, tokenizer: Any) -> None:
    network = model_of(OTHERS[name], tokenizer)
    network.generation_config.repetition_penalty = 3.0
    assert not can_decode(network)
    engine = TransformersEngine(network, tokenizer, Model("tiny"))
    assert type(network).__name__ in str(engine.notice)
    prompts = [[30, 31, 32, 33], [40, 41, 42, 43], [50, 51, 52, 53]]
    written = engine.generate_ids(prompts, Sampling(temperature=0, max_tokens=12))
    assert network.generation_config.repetition_penalty == 3.0
    network.generation_config.repetition_penalty = 1.0
    assert written == [alone(network, prompt, 12) for prompt in prompts]
    state = torch.get_rng_state()
    drawn = [engine.generate_ids(prompts, Sampling(temperature=1, max_tokens=12, seed=seed)) for seed in (5, 5, 6)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_top_k_top_p_and_min_p_rule_out_what_the_library_rules_out() -> None:
    logits = torch.randn(200, 50, generator=torch.Generator().manual_seed(0)) * 3
    for top_k, top_p, min_p in (
        (0, 0.7, 0.0),
        (5, 1.0, 0.0),
        (8, 0.6, 0.0),
        (0, 0.05, 0.0),
        (80, 0.99, 0.0),
        (0, 1.0, 0.1),
        (9, 0.8, 0.3),
        (0, 0.9, 1.0),
    ):
        expected = logits / 0.8
        if top_k:
            expected = TopKLogitsWarper(top_k)(None, expected)
        if top_p < 1:
            expected = TopPLogitsWarper(top_p)(None, expected)
        if min_p:
            expected = MinPLogitsWarper(min_p)(None, expected)
        sampling = Sampling(temperature=0.8, top_k=top_k, top_p=top_p, min_p=min_p)
        assert torch.equal(filtered(logits, sampling), expected)


@pytest.mark.parametrize("name", ["llama", "bloom, no position ids"])
def test_a_repetition_penalty_gives_the_librarys_greedy_texts(
    name: str, tokenizer: Any, prompts: list[list[int]]
) -> None:
    network = model_of({**ARCHITECTURES, **OTHERS}[name], tokenizer)
    engine = TransformersEngine(network, tokenizer, Model("tiny"))
    plain, penalised = (
        engine.generate_ids(prompts, Sampling(temperature=0, max_tokens=24, repetition_penalty=penalty))
        for penalty in (1.0, 1.6)
    )
    network.generation_config.repetition_penalty = 1.6
    assert penalised == [alone(network, prompt, 24) for prompt in prompts]
    assert penalised != plain


@pytest.mark.parametrize("name", ["llama", "bloom, no position ids"])
def test_a_least_probability_of_one_leaves_the_likeliest_token(
    name: str, tokenizer: Any, prompts: list[list[int]]
) -> None:
    engine = TransformersEngine(model_of({**ARCHITECTURES, **OTHERS}[name], tokenizer), tokenizer, Model("tiny"))
    greedy = engine.generate_ids(prompts, Sampling(temperature=0, max_tokens=12))
    assert engine.generate_ids(prompts, Sampling(temperature=1, min_p=1.0, max_tokens=12)) == greedy
    assert engine.generate_ids(prompts, Sampling(temperature=1, max_tokens=12)) != greedy


def test_a_repetition_penalty_depends_on_no_other_row(engine: Any, prompts: list[list[int]]) -> None:
    sampling = Sampling(temperature=1, max_tokens=24, repetition_penalty=1.3, seed=4)
    with engine.prefix_caching():
        whole = engine.generate_ids(prompts, sampling)
    for place in (0, 7, 39):
        assert engine.generate_ids([prompts[place]], sampling, places=[place]) == [whole[place]]


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, -torch.inf]])
    count = 40_000
    chosen = choose(logits.expand(count, -1), Sampling(temperature=0.5), uniforms(seed=1, row=0, count=count))
    expected = (logits[0] / 0.5).softmax(-1)
    shares = torch.bincount(chosen, minlength=4) / count
    assert torch.allclose(shares, expected, atol=0.01)
    assert shares[3] == 0


@pytest.mark.parametrize("sampling", [Sampling(temperature=0.9), Sampling(temperature=0.9, top_p=0.8, top_k=40)])
def test_drawing_a_few_rows_at_a_time_changes_no_draw(sampling: Sampling, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(50, 300, generator=torch.Generator().manual_seed(0)) * 3
    drawn = uniforms(seed=1, row=0, count=50)
    at_once = choose(logits, sampling, drawn)
    monkeypatch.setattr("rrr_core.generation.decoding.CPU_LOGITS", 1000)
    assert torch.equal(choose(logits, sampling, drawn), at_once)


@pytest.mark.parametrize("drawn", [0.0, 1 - 2**-53])
def test_a_draw_at_either_end_never_takes_a_token_of_probability_zero(drawn: float) -> None:
    logits = torch.tensor([[-torch.inf, 0.0, 1.0, -torch.inf]]).expand(64, -1)
    chosen = choose(logits, Sampling(temperature=1), torch.full((64,), drawn, dtype=torch.float64))
    assert set(chosen.tolist()) == {1 if drawn == 0 else 2}


def test_each_row_has_its_own_stream_and_longer_ones_start_the_same() -> None:
    assert torch.equal(uniforms(3, 1, 5), uniforms(3, 1, 9)[:5])
    assert not torch.equal(uniforms(3, 1, 5), uniforms(3, 2, 5))
    assert not torch.equal(uniforms(3, 1, 5), uniforms(4, 1, 5))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_output_that_is_not_finite_is_an_error_and_no_text(engine: Any, temperature: float) -> None:
    with torch.no_grad():
        engine.network.model.norm.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="not finite"):
        engine.generate_ids([[30, 31]], Sampling(temperature=temperature, max_tokens=4))


def moshi(tokenizer: Any, window: int) -> Any:
    """A decoder whose cache drops what its masks still show beyond a sliding window."""
    return model_of(("moshi", {**WIDE, "head_dim": 8, "sliding_window": window}), tokenizer)


def test_a_network_that_the_loop_is_wrong_on_uses_generate(tokenizer: Any, prompts: list[list[int]]) -> None:
    network = moshi(tokenizer, 8)
    assert serves(network)
    assert not can_decode(network)
    engine = TransformersEngine(network, tokenizer, Model("tiny"))
    assert "MoshiForCausalLM" in str(engine.notice)


def test_the_loop_is_tried_beyond_a_sliding_window_once_texts_are_longer(tokenizer: Any) -> None:
    network = moshi(tokenizer, 60)
    assert can_decode(network)
    assert decodes_beyond_window(network, 60)
    assert not decodes_beyond_window(network, 61)
    assert can_decode(network)


def test_the_loop_is_tried_once_per_network(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    network = model_of(ARCHITECTURES["llama"], tokenizer)
    assert can_decode(network)
    monkeypatch.setattr("rrr_core.generation.decoding.decoded", lambda *_: pytest.fail("tried again"))
    assert can_decode(network)
    assert decodes_beyond_window(network, 10_000)
