"""A tiny causal language model from scratch: a stock Llama, a byte-level BPE tokenizer and a chat template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rrr_core.errors import RrrError
from rrr_core.training.warmup_settings import TAGS, WarmupSettings

FAMILY = "rrr-tiny"
"""The model family that plugins see; they may word their prompts tersely for it."""
WHOLE_NUMBERS = 300
"""Numbers below this are one token each, as in large models' tokenizers; longer digit strings are split."""
PIECES = Regex(r"\p{N}{1,3}| ?\p{L}+|[^\s\p{L}\p{N}] ?(?=\p{N})|[^\s\p{L}\p{N}]|\s+")
"""The tokenizer never merges across these pieces. White space before a number belongs to the piece before it."""
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ '<|assistant|>' }}{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def make_tokenizer(texts: Iterable[str], most_tokens: int, tags: Sequence[str] = TAGS) -> PreTrainedTokenizerFast:
    """A fast tokenizer that can encode any text: at most `most_tokens` tokens learned from `texts`, and the `tags`.

    Raises RrrError for a tag that is blank or one of the conversation's special tokens.
    """
    for tag in tags:
        if not tag.strip() or tag in SPECIAL:
            raise RrrError(f"{tag!r} cannot be a tag: it is blank or a special token. Name another (--tags).")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(PIECES, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    numbers = [str(number) for number in range(WHOLE_NUMBERS) for _ in range(2)]
    trainer = trainers.BpeTrainer(
        vocab_size=most_tokens,
        min_frequency=2,
        special_tokens=[*SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *numbers], trainer)
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in tags])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>", padding_side="left"
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def make_model(tokenizer: PreTrainedTokenizerFast, settings: WarmupSettings) -> LlamaForCausalLM:
    """A Llama with random weights drawn from the seed, and our family in its configuration."""
    torch.manual_seed(settings.seed)
    config = LlamaConfig(
        vocab_size=-(-len(tokenizer) // 8) * 8,
        hidden_size=settings.hidden_size,
        intermediate_size=4 * settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=settings.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        rrr_family=FAMILY,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return model
