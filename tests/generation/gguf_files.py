"""Tiny GGUF files: a header by hand, which needs no package, and a whole model through the writer of `gguf`."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

STRING, ARRAY, UINT32, INT32 = 8, 9, 4, 5


def text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


ARCHITECTURE = pair("general.architecture", STRING, text("llama"))


def header_bytes(
    pairs: tuple[bytes, ...] = (ARCHITECTURE,),
    tensors: tuple[bytes, ...] = (),
    *,
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """A header; `counts` are what it claims of tensors and pairs, by default what it has."""
    claimed = struct.pack("<QQ", *(counts or (len(tensors), len(pairs))))
    return b"GGUF" + struct.pack("<I", version) + claimed + b"".join((*pairs, *tensors))


def write_model(path: Path, network: Any, tokenizer: Any, *, pre: str | None = "smollm", **changes: Any) -> Path:
    """A Llama network and its byte-level tokenizer, in float32, as convert_hf_to_gguf.py of llama.cpp writes them.

    `changes` are further keys with their values, or other values for keys that are written.
    """
    import gguf
    import numpy

    config = network.config
    weights = {name: value.detach().float().numpy() for name, value in network.named_parameters()}
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    added = tokenizer.added_tokens_decoder
    names = {index: name for name, index in tokenizer.get_vocab().items()}
    kinds = [1 if index not in added else 3 if added[index].special else 4 for index in range(len(names))]
    writer = gguf.GGUFWriter(str(path), "llama")
    values: dict[str, Any] = {
        "llama.block_count": config.num_hidden_layers,
        "llama.context_length": config.max_position_embeddings,
        "llama.embedding_length": config.hidden_size,
        "llama.feed_forward_length": config.intermediate_size,
        "llama.attention.head_count": config.num_attention_heads,
        "llama.attention.head_count_kv": config.num_key_value_heads,
        "llama.attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "llama.rope.freq_base": float(config.rope_parameters["rope_theta"]),
        "llama.rope.dimension_count": config.head_dim,
        "llama.vocab_size": config.vocab_size,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": [names[index] for index in range(len(names))],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": [" ".join(merge) for merge in model["merges"]],
        "tokenizer.ggml.eos_token_id": tokenizer.eos_token_id,
        "tokenizer.ggml.padding_token_id": tokenizer.pad_token_id,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": tokenizer.chat_template,
        **changes,
    }
    for key, value in values.items():
        match value:
            case None:
                continue
            case bool():
                writer.add_bool(key, value)
            case int():
                writer.add_uint32(key, value)
            case float():
                writer.add_float32(key, value)
            case str():
                writer.add_string(key, value)
            case _:
                writer.add_array(key, value)
    for name, value in tensors_of(weights, config).items():
        writer.add_tensor(name, numpy.ascontiguousarray(value))
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()
    return path


def tensors_of(weights: dict[str, Any], config: Any) -> dict[str, Any]:
    """The weights under llama.cpp's names, with the rows of queries and keys in its order."""
    parts = {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    found = {
        "token_embd.weight": weights["model.embed_tokens.weight"],
        "output_norm.weight": weights["model.norm.weight"],
    }
    if "lm_head.weight" in weights:
        found["output.weight"] = weights["lm_head.weight"]
    for layer in range(config.num_hidden_layers):
        for ours, theirs in parts.items():
            value = weights[f"model.layers.{layer}.{ours}.weight"]
            if count := heads.get(theirs):
                value = value.reshape(count, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
            found[f"blk.{layer}.{theirs}.weight"] = value
    return found | factors_of(config)


def factors_of(config: Any) -> dict[str, Any]:
    """What Llama 3.1 divides its frequencies by, from transformers' own functions; nothing for others."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = config.rope_parameters
    if rope["rope_type"] != "llama3":
        return {}
    size = config.head_dim
    plain = [rope["rope_theta"] ** (-place / size) for place in range(0, size, 2)]
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    import numpy

    factors = numpy.array(plain, dtype=numpy.float32) / scaled.numpy()
    return {"rope_freqs.weight": factors.astype(numpy.float32)}
