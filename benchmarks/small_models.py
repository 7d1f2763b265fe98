"""Small networks with random weights of every causal architecture that transformers can configure small."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

VOCABULARY, WINDOW, LAYERS = 160, 16, 4
MOST_WEIGHTS = 20_000_000
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "n_embd": 64,
    "n_layer": LAYERS,
    "n_head": 4,
    "n_positions": 256,
    "n_ctx": 256,
    "n_inner": 96,
    "rotary_dim": 8,
    "d_model": 64,
    "n_layers": LAYERS,
    "n_heads": 4,
    "num_heads": 4,
    "num_layers": LAYERS,
    "num_kv_heads": 2,
    "ffn_dim": 96,
    "ffn_hidden_size": 96,
    "word_embed_proj_dim": 64,
    "attention_heads": 4,
    "max_seq_len": 256,
    "sliding_window": WINDOW,
    "use_sliding_window": True,
    "max_window_layers": 2,
    "sliding_window_pattern": 2,
    "attention_chunk_size": WINDOW,
    "attention_window_size": WINDOW,
    "window_size": WINDOW,
    "local_attention": WINDOW,
    "num_local_experts": 4,
    "num_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "num_experts_per_token": 2,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
    "moe_topk": 2,
    "top_k_experts": 2,
    "moe_top_k": 2,
    "n_group": 1,
    "topk_group": 1,
    "n_shared_experts": 1,
    "num_shared_experts": 1,
    "first_k_dense_replace": 1,
    "num_dense_layers": 1,
    "moe_num_experts": 4,
    "moe_k": 2,
    "moe_layer_start_index": 1,
    "moe_layer_end_index": LAYERS - 1,
    "q_lora_rank": 32,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "qk_head_dim": 16,
    "index_n_heads": 2,
    "index_head_dim": 16,
    "index_topk": 8,
    "state_size": 8,
    "conv_kernel": 4,
    "expand": 2,
    "time_step_rank": 4,
    "mamba_d_state": 8,
    "mamba_n_heads": 8,
    "mamba_d_head": 16,
    "mamba_n_groups": 1,
    "mamba_expand": 2,
    "mamba_dt_rank": 4,
    "n_groups": 1,
    "mamba_num_heads": 8,
    "mamba_head_dim": 16,
    "ssm_state_size": 8,
    "n_mamba_heads": 2,
    "mamba_d_ssm": 128,
    "lru_width": 64,
    "chunk_size": 16,
    "mamba_chunk_size": 16,
    "mamba_ngroups": 1,
    "mamba_d_conv": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "global_head_dim": 16,
    "num_global_key_value_heads": 2,
    "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": VOCABULARY,
    "num_kv_shared_layers": 0,
    "laurel_rank": 8,
    "activation_sparsity_pattern": None,
    "shared_intermediate_size": 32,
    "attention_head_dim": 16,
    "attention_hidden_size": 128,
    "expert_ffn_hidden_size": 32,
    "zero_expert_num": 1,
    "intermediate_size_mlp": 96,
    "dim_model_base": 64,
    "dense_intermediate_size": 96,
    "adapter_rank": 8,
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "expert_layer_period": 2,
    "expert_layer_offset": 1,
    "is_decoder": True,
    "decoder_layers": LAYERS,
    "encoder_layers": 1,
    "decoder_attention_heads": 4,
    "encoder_attention_heads": 4,
    "decoder_ffn_dim": 96,
    "encoder_ffn_dim": 96,
    "d_embedding": 64,
    "num_routed_experts": 4,
    "num_block": 1,
    "block_size": 16,
}
"""What each size is called in one configuration or another."""
EXTRA: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1, 3]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "dots3_note_text": {"num_key_value_heads": 4},
    "rwkv": {"attention_hidden_size": 64},
    "mamba2": {"num_heads": 8},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "qwen2_moe": {"layer_types": ["full_attention", "sliding_attention"] * 2},
}
"""What single architectures need besides."""


class StaysLargeError(Exception):
    """An architecture whose sizes we do not know all."""


def architectures() -> list[str]:
    """The model types that transformers has a causal language model for."""
    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def small_config(model_type: str) -> Any:
    """A configuration of this type with small sizes, and a sliding window of 16 tokens where it may have one."""
    kind = CONFIG_MAPPING[model_type]
    names = set(inspect.signature(kind).parameters) | set(getattr(kind, "__annotations__", {})) | set(vars(kind()))
    names |= set(kind.attribute_map)
    doubled = {alias for alias, name in kind.attribute_map.items() if name in names and name in SIZES}
    wanted = {name: value for name, value in SIZES.items() if name in names - doubled}
    if "qk_rope_head_dim" in names:  # latent attention has as many keys as queries, and its head's size is computed
        wanted.pop("head_dim", None)
        wanted["num_key_value_heads"] = wanted["num_attention_heads"]
    return kind(**{**wanted, **EXTRA.get(model_type, {})})


def small_model(model_type: str) -> Any:
    """A network of this type, in evaluation mode, whose weights are large enough that every token in view shows."""
    config = small_config(model_type)
    with torch.device("meta"):
        count = sum(weight.numel() for weight in AutoModelForCausalLM.from_config(config).parameters())
    if count > MOST_WEIGHTS:
        raise StaysLargeError(f"{count / 1e6:,.0f} million weights remain with every known size made small")
    torch.manual_seed(3)
    network = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1 and weight.is_floating_point():
                spread = float(weight.std())
                if spread < 1e-6:
                    weight.normal_(0, 0.1)
                elif spread < 0.1:
                    weight.mul_(0.1 / spread)
    return network
