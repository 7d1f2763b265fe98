"""What transformers leaves behind when it reads a GGUF file, taken from the file's own header.

That is the vocabulary, how text is split before merges, how positions are scaled, all end tokens but one, and named
chat templates.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer, pre_tokenizers
from transformers import GenerationConfig
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

from rrr_core.errors import ModelError
from rrr_core.generation.gguf_header import Header

_TOKENS = "tokenizer.ggml."
_TEMPLATE = "tokenizer.chat_template"
_DIGITS_ALONE = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})
"""Values of `tokenizer.ggml.pre` that split off each digit, then split as GPT-2 does (llama.cpp, llama-vocab.cpp)."""
_AS_GPT2 = frozenset({"gpt-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "phi-2"})
"""Values that split as GPT-2 does, which is what transformers does with a value that it does not know."""
_ROPE_FACTORS = "rope_freqs.weight"
_FLOAT32 = 0
_LLAMA_3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""What every Llama 3.1, 3.2 and 3.3 has beside its own factor."""


def restore_split(tokenizer: Any, header: Header) -> str | None:
    """Split text as the tokenizer's merges were learned; a notice where the file names a way that is not known here."""
    if header.values.get(f"{_TOKENS}model") != "gpt2":
        return None
    named = header.values.get(f"{_TOKENS}pre")
    if named in GGUF_PRE_TOKENIZER_SPLITS or named in _AS_GPT2:
        return None
    if named in _DIGITS_ALONE:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        return None
    how = "does not say how its tokenizer splits text" if named is None else f"splits text in the way {named!a}"
    return (
        f"{header.path.name} {how}, which is not known here: it is split as GPT-2 does, so some texts may become other"
        " tokens than the model was trained on. The model's own safetensors have its tokenizer."
    )


def restore_vocabulary(tokenizer: Any, header: Header) -> None:
    """Take out tokens that the file does not have, and the model no embedding for.

    transformers builds a byte-level tokenizer as GPT-2's, whose `<|endoftext|>` it adds where the file has none.
    """
    size = len(header.values.get(f"{_TOKENS}tokens", ()))
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    surplus = [each["content"] for each in content["added_tokens"] if each["id"] >= size]
    if not surplus:
        return
    content["added_tokens"] = [each for each in content["added_tokens"] if each["id"] < size]
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(content))
    for role, token in tokenizer.special_tokens_map.items():
        if token in surplus:
            setattr(tokenizer, role, None)


def restore_positions(config: Any, header: Header) -> None:
    """Scale positions as the file says. Raises ModelError for a scaling that the file alone does not say."""
    rope = getattr(config.get_text_config(), "rope_parameters", None)
    if not isinstance(rope, dict) or rope.get("rope_type", "default") != "default":
        return
    factors = [each for each in header.tensors if each.name.startswith(("rope_freqs", "rope_factors"))]
    scaling = header.of_architecture("rope.scaling.type")
    if scaling == "linear" and not factors:
        rope |= {"rope_type": "linear", "factor": float(header.of_architecture("rope.scaling.factor") or 1.0)}
    elif factors:
        rope |= _scaled_like_llama_3(rope, config, header, [each.name for each in factors])
    elif scaling not in (None, "none"):
        raise _unknown_scaling(header, str(scaling))


def _scaled_like_llama_3(
    rope: Mapping[str, Any], config: Any, header: Header, names: Sequence[str]
) -> dict[str, float | str]:
    (tensor, *others) = [each for each in header.tensors if each.name in names]
    if tensor.name != _ROPE_FACTORS or others or tensor.kind != _FLOAT32:
        raise _unknown_scaling(header, " and ".join(names))
    with open(header.path, "rb") as file:
        file.seek(tensor.offset)
        factors = struct.unpack(f"<{tensor.count}f", file.read(4 * tensor.count))
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    factor = max(factors)
    wanted = llama_3_factors(float(rope["rope_theta"]), size, factor)
    if len(wanted) != len(factors) or any(
        abs(one - other) > 1e-4 * other for one, other in zip(wanted, factors, strict=True)
    ):
        raise _unknown_scaling(header, tensor.name)
    return {"rope_type": "llama3", "factor": factor, **_LLAMA_3}


def llama_3_factors(base: float, size: int, factor: float) -> list[float]:
    """What each frequency is divided by in Llama 3.1 and later: `factor` for the lowest, nothing for the highest.

    As convert_hf_to_gguf.py of llama.cpp computes them.
    """
    context = _LLAMA_3["original_max_position_embeddings"]
    low, high = _LLAMA_3["low_freq_factor"], _LLAMA_3["high_freq_factor"]
    factors = []
    for place in range(0, size, 2):
        length = 2 * math.pi * base ** (place / size)
        if length < context / high:
            factors.append(1.0)
        elif length > context / low:
            factors.append(factor)
        else:
            smooth = (context / length - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors


def _unknown_scaling(header: Header, named: str) -> ModelError:
    return ModelError(
        f"{header.path} scales its positions ({named[:80]}) in a way that transformers does not read from GGUF files:"
        " its weights would compute something else. Use the model's own safetensors."
    )


def generation_config(header: Header, vocabulary: int) -> GenerationConfig:
    """The end tokens (of a text, a turn and a message), the begin token and the pad token that the file names."""

    def token(name: str) -> int | None:
        value = header.values.get(f"{_TOKENS}{name}_token_id")
        return value if isinstance(value, int) and 0 <= value < vocabulary else None

    ends = [each for each in map(token, ("eos", "eot", "eom")) if each is not None]
    return GenerationConfig(
        eos_token_id=list(dict.fromkeys(ends)) or None, bos_token_id=token("bos"), pad_token_id=token("padding")
    )


def restore_templates(tokenizer: Any, header: Header) -> None:
    """Give the tokenizer the named chat templates of the file beside its only or default one."""
    named = {
        key.removeprefix(f"{_TEMPLATE}."): value
        for key, value in header.values.items()
        if key.startswith(f"{_TEMPLATE}.") and isinstance(value, str)
    }
    if named and isinstance(tokenizer.chat_template, str):
        tokenizer.chat_template = {"default": tokenizer.chat_template, **named}
