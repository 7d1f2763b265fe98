"""The shared prompt changes no number: log-probabilities, entropies, losses and gradients match the padded batch."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    DiffLlamaConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    OPTConfig,
    Phi3Config,
    PhimoeConfig,
    Qwen2Config,
    Qwen3Config,
    modeling_flash_attention_utils,
)
from trl.trainer.utils import add_fused_lm_head

from rrr_core.progress import Progress
from rrr_core.training import blockwise
from rrr_core.training import run as training_run
from rrr_core.training.packing import Packing, inputs_of
from rrr_core.training.run import train
from rrr_core.training.shared_prompt import can_share
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train

VOCABULARY = 100
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
HEADS_OF_8 = {**SIZES, "head_dim": 8}
FAMILIES = {
    "llama": LlamaConfig(**SIZES),
    "llama without shared keys": LlamaConfig(**{**SIZES, "num_key_value_heads": 4}),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**HEADS_OF_8),
    "mistral with a window of 4": MistralConfig(**SIZES, sliding_window=4),
    "gemma3 with windows of 4 and without": Gemma3TextConfig(**HEADS_OF_8, sliding_window=4),
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=3, n_head=4, initializer_range=0.3, bos_token_id=1, eos_token_id=1,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    ),
    "gpt-neox": GPTNeoXConfig(**{name: value for name, value in SIZES.items() if name != "num_key_value_heads"}),
    "phi3": Phi3Config(**SIZES),
    "mixtral": MixtralConfig(**SIZES, num_local_experts=4),
    "cohere": CohereConfig(**SIZES),
}  # fmt: skip


def made(config: Any) -> Any:
    """A model with weights large enough to show if a token more or less is attended to."""
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(config))
    add_fused_lm_head(model, temperature=0.7, outputs=("log_probs", "entropy"))
    return model


def batch(groups: Any) -> tuple[Any, Any, int]:
    """TRL's padded ids and mask (B, P + R), and R, of groups given as (prompt's length, completions' lengths)."""
    source = torch.Generator().manual_seed(5)

    def draw(length: int) -> list[int]:
        return torch.randint(2, VOCABULARY, (length,), generator=source).tolist()

    width = max(prompt for prompt, _ in groups)
    longest = max(length for _, lengths in groups for length in lengths)
    ids, mask = [], []
    for length, lengths in groups:
        prompt = draw(length)
        for written in lengths:
            ids.append([0] * (width - length) + prompt + draw(written) + [0] * (longest - written))
            mask.append([0] * (width - length) + [1] * (length + written) + [0] * (longest - written))
    return torch.tensor(ids), torch.tensor(mask), longest


BATCHES = {
    "one group, all of one length": [(12, (5, 5, 5, 5))],
    "one group of uneven completions": [(12, (5, 1, 3, 5))],
    "groups of uneven prompts and sizes": [(12, (4, 2)), (3, (6,)), (9, (1, 5, 3))],
    "every prompt another one": [(7, (3,)), (9, (4,)), (7, (2,))],
    "a completion that is masked out as a whole": [(8, (4, 0, 2))],
    "a prompt of one token": [(1, (3, 2))],
    "a prompt of one token beside a longer one": [(1, (3, 2)), (6, (2, 2))],
}


def padded_pass(model: Any, ids: Any, mask: Any, width: int) -> Any:
    """As in TRL, with explicit positions, since a model with learned ones must not see padding as tokens."""
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :-width] = -100
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, labels=labels, fused_lm_head=True)
    return output.log_probs[:, -width:], output.entropy[:, -width:]


def packed_pass(model: Any, ids: Any, mask: Any, width: int) -> Any:
    packing = Packing(ids, mask, width)
    output = model(**inputs_of(packing), shift_labels=packing.labels, fused_lm_head=True)
    return packing.padded(output.log_probs), packing.padded(output.entropy)


def passes(model: Any, compute: Any, groups: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Log-probabilities and entropies of written tokens, and the gradient of an unevenly weighted sum."""
    ids, mask, width = batch(groups)
    logps, entropies = compute(model, ids, mask, width)
    written = mask[:, -width:]
    weights = torch.randn(logps.shape, generator=torch.Generator().manual_seed(9))
    model.zero_grad()
    ((weights * logps - 0.3 * entropies) * written).sum().backward()
    gradient = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    return logps.detach() * written, entropies.detach() * written, gradient


def assert_same(one: Any, other: Any, tolerance: float = 2e-4) -> None:
    torch.testing.assert_close(one[0], other[0], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(one[1], other[1], rtol=tolerance, atol=tolerance)
    assert one[2].keys() == other[2].keys()
    for name, gradient in one[2].items():
        distance = (gradient - other[2][name]).norm() / gradient.norm().clamp(min=1e-3)
        assert distance < tolerance, name


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("groups", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_packed_pass_gives_the_padded_pass_s_numbers_and_gradient(
    monkeypatch: pytest.MonkeyPatch, family: str, groups: Any, tiled: bool
) -> None:
    monkeypatch.setattr(blockwise, "is_faster", lambda: tiled)
    monkeypatch.setattr(blockwise, "FEWEST", 0)
    model = made(FAMILIES[family])
    assert can_share(model) is None
    assert_same(passes(model, padded_pass, groups), passes(model, packed_pass, groups))


def test_each_prompt_is_in_the_row_once_and_padding_never() -> None:
    ids, mask, width = batch([(12, (4, 2)), (3, (6,))])
    packing = Packing(ids, mask, width)
    # A prompt's last token begins each of its completions, whose own last token predicts nothing.
    assert packing.tokens == (12 - 1) + (3 - 1) + 4 + 2 + 6


def test_the_head_is_computed_on_completions_alone() -> None:
    model = made(FAMILIES["llama"])
    assert can_share(model) is None
    packing = Packing(*batch([(12, (4, 2))]))
    assert model(**inputs_of(packing)).logits.shape == (1, 6, VOCABULARY)


def test_a_model_patched_to_share_is_otherwise_unchanged() -> None:
    before, after = made(FAMILIES["qwen2"]), made(FAMILIES["qwen2"])
    ids, mask, width = batch(BATCHES["groups of uneven prompts and sizes"])
    expected = padded_pass(before, ids, mask, width)[0]
    assert can_share(after) is None
    assert after.training == before.training
    torch.testing.assert_close(padded_pass(after, ids, mask, width)[0], expected, rtol=0, atol=0)


def test_gradient_checkpointing_changes_no_number() -> None:
    plain, checkpointed = made(FAMILIES["qwen2"]), made(FAMILIES["qwen2"])
    for model in (plain, checkpointed):
        assert can_share(model) is None
        model.train()
    checkpointed.gradient_checkpointing_enable({"use_reentrant": False})
    groups = BATCHES["groups of uneven prompts and sizes"]
    assert_same(passes(plain, padded_pass, groups), passes(checkpointed, packed_pass, groups))


def test_lora_changes_no_number() -> None:
    from peft import LoraConfig, get_peft_model

    model = made(FAMILIES["qwen2"])
    torch.manual_seed(1)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    assert can_share(adapted) is None
    groups = BATCHES["groups of uneven prompts and sizes"]
    one, other = passes(adapted, padded_pass, groups), passes(adapted, packed_pass, groups)
    assert any("lora_A" in name for name in one[2])
    assert all("lora_" in name for name in one[2])
    assert_same(one, other)


def test_bfloat16_changes_no_more_than_its_own_rounding() -> None:
    model = made(FAMILIES["qwen2"])
    assert can_share(model) is None
    ids, mask, width = batch(BATCHES["groups of uneven prompts and sizes"])
    exact = padded_pass(model, ids, mask, width)[0] * mask[:, -width:]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        padded = padded_pass(model, ids, mask, width)[0] * mask[:, -width:]
        packed = packed_pass(model, ids, mask, width)[0] * mask[:, -width:]
    assert packed.dtype == padded.dtype
    rounding = (padded - exact).abs().mean()
    assert rounding > 0
    assert (packed - exact).abs().mean() < 1.5 * rounding


def flash_attention(query: Any, key: Any, value: Any, softmax_scale: float, window_size: Any, **_: Any) -> Any:
    """FlashAttention's definition for (B, T, H, d): the last query attends to the last key and all before it."""
    repeats = query.shape[2] // key.shape[2]
    key, value = key.repeat_interleave(repeats, 2), value.repeat_interleave(repeats, 2)
    places = torch.arange(query.shape[1])[:, None] + key.shape[1] - query.shape[1] - torch.arange(key.shape[1])
    seen = (places >= 0) & ((places <= window_size[0]) if window_size[0] >= 0 else True)
    rows = [each.transpose(1, 2) for each in (query, key, value)]
    return functional.scaled_dot_product_attention(*rows, attn_mask=seen, scale=softmax_scale).transpose(1, 2)


def flash_attention_of_lengths(
    query: Any, key: Any, value: Any, cu_seqlens_q: Any, cu_seqlens_k: Any, softmax_scale: float,
    window_size: Any = (-1, -1), causal: bool = True, max_seqlen_q: int = 0, max_seqlen_k: int = 0,
    dropout_p: float = 0.0, softcap: float = 0.0, deterministic: bool = False,
) -> Any:  # fmt: skip
    """The same for rows of uneven lengths, concatenated: (N, H, d)."""
    assert causal
    outputs = []
    starts = zip(itertools.pairwise(cu_seqlens_q.tolist()), itertools.pairwise(cu_seqlens_k.tolist()), strict=True)
    for (first, last), (from_, to) in starts:
        rows = query[None, first:last], key[None, from_:to], value[None, from_:to]
        outputs.append(flash_attention(*rows, softmax_scale=softmax_scale, window_size=window_size)[0])
    return torch.cat(outputs)


@pytest.fixture
def flash(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers' own FlashAttention path, with kernels replaced by their definition, which needs no GPU."""
    module = modeling_flash_attention_utils
    for name, value in {
        "_loaded_implementation": "flash_attention_2",
        "_flash_fn": lambda *states, **keywords: flash_attention(*states, **{"window_size": (-1, -1), **keywords}),
        "_flash_varlen_fn": flash_attention_of_lengths,
        "_pad_fn": module._pad_input,
        "_unpad_fn": module._unpad_input,
        "_process_flash_kwargs_fn": module._lazy_define_process_function(flash_attention_of_lengths),
        "_process_with_kvcache_kwargs_fn": dict,
    }.items():
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("groups", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("family", ["qwen2", "mistral with a window of 4"])
@pytest.mark.usefixtures("flash")
def test_flash_attention_gives_the_padded_pass_s_numbers_and_gradient(family: str, groups: Any) -> None:
    expected = passes(made(FAMILIES[family]), padded_pass, groups)
    model = made(FAMILIES[family])
    model.config._attn_implementation = "flash_attention_2"
    assert can_share(model) is None
    assert_same(expected, passes(model, packed_pass, groups))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (Gemma2Config(**HEADS_OF_8), "its attention is eager"),
        (MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2), "its attention is eager"),
        (PhimoeConfig(**HEADS_OF_8, num_local_experts=4, sliding_window=4), "its log-probabilities differ by up to"),
        (DiffLlamaConfig(**SIZES), "6 of its 3 layers attend"),
    ],
    ids=["soft-capped attention", "no attention", "a window that masks alone know", "two attentions in a layer"],
)
def test_an_architecture_that_cannot_share_is_detected(config: Any, reason: str) -> None:
    assert reason in str(can_share(made(config)))


def test_a_model_that_calls_its_decoder_past_its_backbone_can_share() -> None:
    """OPT's own head then scores the prompts as well; the fused head that trains it does not."""
    model = made(
        OPTConfig(
            vocab_size=VOCABULARY, hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=4,
            word_embed_proj_dim=32, init_std=0.3, dropout=0.0,
        )
    )  # fmt: skip
    assert can_share(model) is None
    ids, mask, width = batch(BATCHES["groups of uneven prompts and sizes"])
    written = mask[:, -width:]
    expected = padded_pass(model, ids, mask, width)[0] * written
    torch.testing.assert_close(packed_pass(model, ids, mask, width)[0] * written, expected, rtol=2e-4, atol=2e-4)


def weights_after(
    folder: Path, failures: Any, model_settings: Any, settings: Any, said: list[str] | None = None
) -> Any:
    progress = Progress()
    if said is not None:
        progress.say = said.append  # type: ignore[method-assign]
    train(CoinTask(), failures, model_settings, folder, settings, progress)
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return load_file(folder / "model" / "model.safetensors"), metrics


@pytest.mark.parametrize("credit", ["reflection", "retry", "all"])
@pytest.mark.parametrize("micro_batch_size", [16, 8, 2])
def test_training_with_and_without_shared_prompts_moves_the_weights_alike(
    credit: str, micro_batch_size: int, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    """Whole groups in a micro-batch or parts of one, accumulated; the reference model's pass included."""
    one = dataclasses.replace(
        settings, steps=1, credit=credit, micro_batch_size=micro_batch_size, kl=0.1, scheduler="constant",
        warmup_ratio=0.0, learning_rate=1.0, save_every=1, grpo={"optim": "sgd", "max_grad_norm": "1e9"},
    )  # fmt: skip
    shared = weights_after(tmp_path / "shared", failures, model_settings, one)
    padded = weights_after(tmp_path / "padded", failures, model_settings, dataclasses.replace(one, shared_prompt=False))
    for name, weight in shared[0].items():
        torch.testing.assert_close(weight, padded[0][name], rtol=1e-4, atol=1e-5)
    for name in ("reward", "kl", "entropy", "loss"):
        assert shared[1][0][name] == pytest.approx(padded[1][0][name], rel=1e-3, abs=1e-5), name


def test_a_model_that_cannot_share_is_still_trained_and_says_so_once(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = dataclasses.replace(settings, steps=2)
    expected = weights_after(
        tmp_path / "padded", failures, model_settings, dataclasses.replace(one, shared_prompt=False)
    )
    load = training_run.load_from

    def load_eager(*arguments: Any) -> Any:
        engine = load(*arguments)
        engine.network.set_attn_implementation("eager")
        return engine

    monkeypatch.setattr(training_run, "load_from", load_eager)
    said: list[str] = []
    found = weights_after(tmp_path / "eager", failures, model_settings, one, said)
    (notice,) = [line for line in said if "prompt" in line]
    assert "its attention is eager" in notice
    for name, weight in found[0].items():
        torch.testing.assert_close(weight, expected[0][name], rtol=1e-3, atol=1e-4)
