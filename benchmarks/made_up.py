"""Synthetic work to time training on: models of real shapes with random weights, and a task with mixed verdicts.

A real model's weights decide how long its texts are, and a random model's texts never end. So `ends_after` builds
a model that writes exactly that many tokens and then ends, whatever the prompt: the work is the same for every engine,
without configuring any. How it works: a token's embedding carries its place in the text, in dimensions that no layer
writes to, and the output layer strongly favours the tokens of the next place.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from rrr_core.episode import Failure, Segment, failure_of
from rrr_core.hookspecs import hookimpl, trusted
from rrr_core.tasks import Task, TaskEntry
from rrr_core.tasks.hooks import checked_plugin
from rrr_core.verdicts import failed, passed

SPECIAL = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|unknown|>")
PAD, END, _, ASSISTANT, UNKNOWN = range(len(SPECIAL))
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SURE = 3.0
"""Weight in favour of the next place's tokens; the final norm scales it to tens of logits."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a Qwen2 model."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int

    def cut(self, layers: int) -> Shape:
        """The shape with fewer layers and a vocabulary cut in proportion, so every part keeps its share of work."""
        return dataclasses.replace(self, layers=layers, vocabulary=self.vocabulary * layers // self.layers)


SHAPES = {
    "0.5B": Shape(896, 4864, 24, 14, 2, 151_936),
    "1.5B": Shape(1536, 8960, 28, 12, 2, 151_936),
    "SmolLM2-135M": Shape(576, 1536, 30, 9, 3, 49_152),
    "tiny": Shape(64, 128, 2, 4, 2, 512),
}
"""Qwen2.5-0.5B, Qwen2.5-1.5B, SmolLM2-135M (their config.json on the hub), and one for tests."""


def make_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer for the words `w5`, `w6`, …: their texts are encoded and decoded without loss."""
    words = {word: index for index, word in enumerate(SPECIAL)}
    words |= {f"w{index}": index for index in range(len(SPECIAL), vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=SPECIAL[UNKNOWN]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[PAD],
        eos_token=SPECIAL[END],
        unk_token=SPECIAL[UNKNOWN],
        additional_special_tokens=[SPECIAL[2], SPECIAL[ASSISTANT]],
        padding_side="left",
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def save_model(shape: Shape, folder: Path, seed: int, ends_after: int | None = None) -> None:
    """Write a model with random weights and its tokenizer.

    With `ends_after` its output layer is not tied to its embeddings, and every text has that many tokens,
    including the end token.
    """
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=32_768,
        tie_word_embeddings=ends_after is None,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=END, pad_token_id=PAD)
    if ends_after is not None:
        make_it_end(model, ends_after)
    model.save_pretrained(folder)
    make_tokenizer(shape.vocabulary).save_pretrained(folder)


@torch.no_grad()
def make_it_end(model: Any, length: int) -> None:
    """Change the weights so every text has `length` tokens. Words alternate: one for each place except the last."""
    places = length - 1
    words = torch.arange(len(SPECIAL), model.config.vocab_size)
    place = torch.zeros(model.config.vocab_size, dtype=torch.long)
    place[words] = words % places + 1
    embedded, output = model.model.embed_tokens.weight, model.lm_head.weight
    embedded[:, :length] = 0
    embedded[torch.arange(len(place)), place] = 1.0
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight[:length] = 0
        layer.mlp.down_proj.weight[:length] = 0
    output[:, :length] = 0
    output[words, place[words] - 1] = SURE
    output[END, places] = SURE


def load_policy(folder: Path, seed: int, dtype: str = "float32") -> Any:
    """The model as after some training: its weights with noise of a thousandth of their standard deviation."""
    model = Qwen2ForCausalLM.from_pretrained(folder, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = parameter.float().std().nan_to_num()
            noise = torch.randn(parameter.shape, generator=generator) * spread * 1e-3
            parameter += noise.to(parameter.dtype)
    return model


def words(chance: random.Random, count: int, vocabulary: int) -> str:
    """A text of `count` random words."""
    return " ".join(f"w{chance.randrange(len(SPECIAL), vocabulary)}" for _ in range(count))


def coin_task() -> Task:
    """A task in which half of all answers pass, by their hash; the retry prompt is the row's own question."""
    module = ModuleType("rrr_coin")

    @hookimpl
    def rrr_load_dataset() -> Sequence[Mapping[str, Any]]:
        return []

    @hookimpl
    def rrr_prompt(row: Mapping[str, Any]) -> str:
        return f"{row['material']} {row['question']}"

    @hookimpl
    def rrr_reflection_prompt() -> str:
        return " ".join(f"w{index}" for index in range(len(SPECIAL), len(SPECIAL) + 30))

    @hookimpl
    def rrr_retry_prompt(row: Mapping[str, Any]) -> str:
        return str(row["question"])

    @hookimpl
    @trusted
    def rrr_verify(answer: str) -> Any:
        return passed() if hashlib.sha256(answer.encode()).digest()[0] % 2 else failed("tails")

    for hook in (rrr_load_dataset, rrr_prompt, rrr_reflection_prompt, rrr_retry_prompt, rrr_verify):
        hook.__module__ = module.__name__
        setattr(module, hook.__name__, hook)
    return Task(checked_plugin(TaskEntry("coin", "rrr-coin", "1.0", "rrr_coin"), module))


def make_failures(count: int, prompt: int, vocabulary: int, seed: int) -> list[Failure]:
    """Failures with reflection prompts of about `prompt` tokens: a question of 30, an attempt of a tenth, filler.

    The filler varies a little in length, as in real rows.
    """
    chance = random.Random(seed)
    failures = []
    for index in range(count):
        attempt = words(chance, prompt // 10, vocabulary)
        # The question has 30 words, the request to reflect 30, and 7 tokens mark the roles.
        material = prompt - prompt // 10 - 67 - chance.randrange(prompt // 20 + 1)
        row = {"material": words(chance, max(1, material), vocabulary), "question": words(chance, 30, vocabulary)}
        messages = ({"role": "user", "content": f"{row['material']} {row['question']}"},)
        answer = Segment("attempt", text=attempt, verdict=failed("tails"))
        failures.append(failure_of(f"{index}-0", index, row, messages, answer, 0))
    return failures
