"""The chat templates that TRL ships, each with a tokenizer that adds the tokens which its models' tokenizers add."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import trl
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

FOLDER = Path(trl.__file__).parent / "chat_templates"
NAMES = sorted(path.stem for path in FOLDER.glob("*.jinja") if not path.stem.endswith("_training"))
"""Templates of published models: their patched twins for training are TRL's own."""


@dataclass(frozen=True)
class Family:
    """What the tokenizers of a template's models have besides the tokens that the template writes."""

    end: str = "<|im_end|>"
    begin: str | None = None
    pad: str | None = None
    plain: tuple[str, ...] = ()
    """Added tokens that are not special, so that they stay in decoded text, and match when spelled in a row."""


THINK = ("<think>", "</think>")
TOOL_CALL = ("<tool_call>", "</tool_call>")
_QWEN = Family(pad="<|endoftext|>", plain=TOOL_CALL)
_QWEN_3 = Family(pad="<|endoftext|>", plain=(*THINK, *TOOL_CALL, "<tool_response>", "</tool_response>"))
_GEMMA = Family("<eos>", "<bos>", "<pad>")
_GEMMA_4 = Family("<eos>", "<bos>", "<pad>", ())
_DEEPSEEK = Family(
    "<｜end▁of▁sentence｜>",
    "<｜begin▁of▁sentence｜>",
    plain=(*THINK, "<｜User｜>", "<｜Assistant｜>"),
)
_COHERE = Family(
    "<|END_OF_TURN_TOKEN|>",
    "<BOS_TOKEN>",
    "<PAD>",
    ("<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>"),
)
_LFM = Family(begin="<|startoftext|>", pad="<|pad|>", plain=THINK)
_NEMOTRON = Family(begin="<s>", pad="<|im_end|>", plain=(*THINK, *TOOL_CALL))
_LLAMA = Family("<|eot_id|>", "<|begin_of_text|>")
_PHI = Family("<|end|>", "<s>", "<|endoftext|>")
FAMILIES: Mapping[str, Family] = {
    "cohere": _COHERE,
    "cohere2": Family(
        _COHERE.end, _COHERE.begin, _COHERE.pad, (*_COHERE.plain, "<|START_RESPONSE|>", "<|END_RESPONSE|>")
    ),
    "deepseek": _DEEPSEEK,
    "diffusion_gemma": _GEMMA_4,
    "gemma4": _GEMMA_4,
    "gemma": _GEMMA,
    "glm4moe": Family("<|endoftext|>", pad="<|endoftext|>", plain=(*THINK, *TOOL_CALL)),
    "gptoss": Family("<|return|>", "<|startoftext|>", "<|endoftext|>"),
    "idefics3": Family("<end_of_utterance>", "<|begin_of_text|>"),
    "lfm2": _LFM,
    "llama3": _LLAMA,
    "llava_next": Family("</s>", "<s>", "<pad>"),
    "muse_glimmer": Family("<|eot|>", "<|begin_of_text|>"),
    "nemotron": _NEMOTRON,
    "phi3": _PHI,
    "qwen2_5": _QWEN,
    "qwen3": _QWEN_3,
    "smolvlm": Family("<end_of_utterance>", "<|im_start|>"),
}
"""The start of a template's name → what its models' tokenizers add."""
_TOKEN = re.compile(
    r"<[|｜][^<>\s{}'\"+]{1,40}[|｜]>|<\|[a-z_]{2,20}>|<[a-z_]{2,20}\|>|<(?:start|end)_of_(?:turn|utterance|image)>"
    r"|\[gMASK\]|<sop>|</s>|<image>"
)


def family_of(name: str) -> Family:
    """What the template's models' tokenizers add. Raises KeyError for a template that nobody has sorted."""
    known = [start for start in FAMILIES if name.startswith(start)]
    if not known:
        raise KeyError(name)
    return FAMILIES[max(known, key=len)]


@cache
def tokenizer_of(name: str) -> Any:
    """A byte-level tokenizer with one token a byte, the added tokens of the template's models, and the template."""
    family = family_of(name)
    source = (FOLDER / f"{name}.jinja").read_text(encoding="utf-8")
    named = [token for token in (family.end, family.begin, family.pad) if token is not None]
    special = sorted({*_TOKEN.findall(source), *named} - set(family.plain))
    made = PreTrainedTokenizerFast(
        tokenizer_object=byte_level(special, family.plain),
        eos_token=family.end,
        bos_token=family.begin,
        pad_token=family.pad or family.end,
    )
    made.chat_template = source
    return made


def byte_level(special: list[str], plain: tuple[str, ...] = ()) -> Tokenizer:
    """A tokenizer of bytes, and of added tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    core.add_tokens([AddedToken(text, special=False, normalized=False) for text in plain])
    return core
