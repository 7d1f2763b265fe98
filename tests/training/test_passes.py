"""The pass in use is right on the user's model, at the user's lengths, or nothing is trained."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    ModernBertDecoderConfig,
    PhimoeConfig,
)

from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings
from rrr_core.generation.trial import Difference, Sample, evaluating, rounding
from rrr_core.training.passes import Passes, longest_completion
from rrr_core.training.run import train
from rrr_core.training.shared_prompt import can_share, packed_score
from rrr_core.training.tiny import make_tokenizer
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train

VOCABULARY = 100
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}


def made(config: Any) -> Any:
    torch.manual_seed(3)
    return AutoModelForCausalLM.from_config(config).eval()


def sample(long: int = 40, short: int = 12, tokens: int = 8) -> Sample:
    source = torch.Generator().manual_seed(4)
    return Sample.of([torch.randint(2, VOCABULARY, (n,), generator=source).tolist() for n in (short, long)], tokens)


def test_a_sample_pads_rows_on_both_sides_and_shares_a_prompt() -> None:
    ids, mask, width = sample().batch()
    assert (ids.shape, width) == ((3, 48), 8)
    assert mask.sum(1).tolist() == [48, 42, 14]
    assert mask[2].nonzero().flatten().tolist() == list(range(28, 42))
    assert torch.equal(ids[0, :42], ids[1, :42])


def test_the_short_prompt_is_at_most_half_the_long_one() -> None:
    assert len(sample(40, 39).short) == 20


def test_completions_end_with_the_context() -> None:
    prompts = [[7] * 30, [5] * 4]
    assert [len(one) for one in dataclasses.astuple(Sample.of(prompts, 50, context=37))[:3]] == [30, 4, 7]
    assert [len(one) for one in dataclasses.astuple(Sample.of(prompts, 50, context=20))[:3]] == [19, 4, 1]


def test_a_long_completion_is_scored_at_its_end_and_keeps_its_length() -> None:
    long, _, written, few = dataclasses.astuple(Sample.of([[7] * 30], 700))
    assert (len(long), len(written), few) == (30 + 188, 512, 128)


def test_a_window_shorter_than_the_prompts_shows_if_masks_alone_know_it() -> None:
    """Nine tokens showed nothing."""
    network = made(PhimoeConfig(**SIZES, num_local_experts=4, sliding_window=16))
    assert can_share(network, sample(long=9, short=5, tokens=4)) is None
    assert "differ by up to" in str(can_share(network, sample(long=40)))
    assert "differ by up to" in str(can_share(network)), "by default a trial is longer than the window"
    assert can_share(made(MistralConfig(**SIZES, sliding_window=16)), sample(long=40)) is None


def test_the_noise_of_a_dtype_is_what_rounding_moves_a_sequence_by() -> None:
    network = made(LlamaConfig(**SIZES))
    with torch.no_grad():
        exact = sample().alone(network)
        assert sample().noise(network).largest < 1e-5
        network = network.bfloat16()
        own = Difference.of(sample().alone(network), exact).mean
        noise = sample().noise(network).mean
    assert own / 3 < noise < own * 3


def test_noise_leaves_the_network_as_it_was() -> None:
    network = made(LlamaConfig(**SIZES))
    with torch.no_grad():
        before = sample().alone(network)
        with rounding(network):
            assert not torch.equal(sample().alone(network), before)
        assert torch.equal(sample().alone(network), before)


@pytest.mark.parametrize("kind", ["weights", "autocast"])
def test_bfloat16_is_told_from_a_window_that_is_ignored(kind: str) -> None:
    context = torch.autocast("cpu", dtype=torch.bfloat16) if kind == "autocast" else nullcontext()
    for config, right in (
        (MistralConfig(**SIZES, sliding_window=16), True),
        (PhimoeConfig(**SIZES, num_local_experts=4, sliding_window=16), False),
    ):
        network = made(config)
        network = network.bfloat16() if kind == "weights" else network
        with context:
            found = can_share(network, sample())
        assert (found is None) is right


def own_head(network: Any, with_positions: bool) -> Any:
    def score(ids: Any, mask: Any, width: int) -> Any:
        positions = {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)} if with_positions else {}
        logits = network(input_ids=ids, attention_mask=mask, **positions).logits[:, -width - 1 : -1]
        return logits.log_softmax(-1).gather(-1, ids[:, -width:, None])[..., 0]

    return score


def choose(network: Any, with_positions: bool = True) -> str | None:
    passes = Passes(packed_score, partial(own_head, with_positions=with_positions), 1.0, nullcontext)
    return passes.against_sharing([network], sample())


def test_the_padded_pass_is_used_where_the_packed_one_is_wrong() -> None:
    network = made(MistralConfig(**SIZES, sliding_window=16))
    assert choose(network) is None
    network.set_attn_implementation("eager")
    assert choose(network) == "its attention is eager, not sdpa or flash_attention"


def test_where_neither_pass_is_right_the_model_is_refused_with_the_figure() -> None:
    network = made(GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3))
    network.set_attn_implementation("eager")
    assert choose(network) is not None
    with pytest.raises(ModelError) as refused:
        choose(network, with_positions=False)
    said = str(refused.value)
    assert "The model (GPT2LMHeadModel) cannot be trained: on a batch with prompts of 40 and 12 tokens" in said
    assert "Padded, its log-probabilities differ by up to" in said
    assert "docs/compatibility.md" in said


def test_weights_that_have_diverged_are_refused() -> None:
    network = made(LlamaConfig(**SIZES))
    with torch.no_grad():
        network.model.norm.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="its output is not finite"):
        choose(network)


def test_a_pass_that_fails_is_a_reason() -> None:
    network = made(LlamaConfig(**SIZES))

    def broken(*_: Any) -> Any:
        raise ValueError("no such\nlayer")

    with torch.no_grad(), evaluating(network):
        found = sample().tried(broken, sample().alone(network))
    assert found.wrong(lambda: found) == "it fails: no such layer"


def test_a_completion_is_as_long_as_what_is_trained(settings: Any) -> None:
    assert longest_completion(dataclasses.replace(settings, credit="reflection")) == 6
    assert longest_completion(dataclasses.replace(settings, credit="all")) == 6 + 5


def saved(config: type, folder: Path, **sizes: Any) -> ModelSettings:
    """A tiny model of that kind, with a tokenizer, in a folder."""
    tokenizer = make_tokenizer(["Toss 1. Wrong. Reflect. heads tails"] * 4, 512 + 256)
    end = tokenizer.eos_token_id
    ids = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": end, "eos_token_id": end}
    network = made(config(**{**sizes, **ids, "vocab_size": len(tokenizer)}))
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ModelSettings(model=str(folder))


def test_a_model_that_cannot_be_trained_is_refused_before_anything_is(
    failures: Any, settings: Any, tmp_path: Path
) -> None:
    """TRL's fused head leaves out a layer that this model has before its own."""
    model = saved(ModernBertDecoderConfig, tmp_path / "modernbert", **SIZES)
    with pytest.raises(ModelError, match=r"modernbert \(ModernBertDecoderForCausalLM\) cannot be trained: on a batch"):
        train(CoinTask(), failures, model, tmp_path / "t", settings)
    assert (tmp_path / "t" / "metrics.jsonl").read_text() == ""
    assert not (tmp_path / "t" / "model").exists()


def test_learned_positions_are_counted_without_the_padding(failures: Any, settings: Any, tmp_path: Path) -> None:
    """TRL passes no position ids: padded and packed batches of GPT-2 would then be trained differently."""
    model = saved(
        GPT2Config, tmp_path / "gpt2", n_embd=32, n_layer=2, n_head=4, initializer_range=0.1, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    one = dataclasses.replace(
        settings, steps=1, kl=0.1, scheduler="constant", warmup_ratio=0.0, learning_rate=1.0,
        grpo={"optim": "sgd", "max_grad_norm": "1e9"},
    )  # fmt: skip
    weights = []
    for name, shared in (("shared", True), ("padded", False)):
        train(CoinTask(), failures, model, tmp_path / name, dataclasses.replace(one, shared_prompt=shared))
        weights.append(load_file(tmp_path / name / "model" / "model.safetensors"))
    for name, weight in weights[0].items():
        torch.testing.assert_close(weight, weights[1][name], rtol=1e-4, atol=1e-5)
