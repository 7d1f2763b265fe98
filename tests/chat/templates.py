"""The chat templates that TRL ships, each with a tokenizer that has its special tokens."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import trl
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

FOLDER = Path(trl.__file__).parent / "chat_templates"
NAMES = sorted(path.stem for path in FOLDER.glob("*.jinja") if not path.stem.endswith("_training"))
PLAIN = ("<think>", "</think>")
"""Tokens that published tokenizers add without making them special."""
ENDS = {
    "cohere": "<|END_OF_TURN_TOKEN|>",
    "cohere2": "<|END_OF_TURN_TOKEN|>",
    "deepseek_r1_distill": "<｜end▁of▁sentence｜>",
    "deepseekv3": "<｜end▁of▁sentence｜>",
    "gptoss": "<|return|>",
    "glm4moe": "<|endoftext|>",
    "muse_glimmer": "<|eot|>",
    "llama3": "<|eot_id|>",
}
"""Template → its model's end token; `<|im_end|>`, or what its family writes, for the others."""


@cache
def tokenizer_of(name: str, encode_bytes: bool = True) -> Any:
    """A byte-level tokenizer with one token a byte, the special tokens of the template, and the template."""
    source = (FOLDER / f"{name}.jinja").read_text(encoding="utf-8")
    found = re.findall(
        r"<[|｜][^<>\s{}'\"+]{1,40}[|｜]>|<\|[a-z_]{2,20}>|<[a-z_]{2,20}\|>|<(?:start|end)_of_turn>|<fake_token[^>]*>|<end_of_utterance>",
        source,
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    special = sorted({*found, ENDS.get(name, "<|endoftext|>")})
    core.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    if "think>" in source:
        core.add_tokens([AddedToken(text, special=False, normalized=False) for text in PLAIN])
    end = ENDS.get(name, "<|endoftext|>")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=end, bos_token=special[0], pad_token=special[-1]
    )
    tokenizer.chat_template = source
    return tokenizer
