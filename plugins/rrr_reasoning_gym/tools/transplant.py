"""A model with the blocks of another and a tokenizer of several tasks: where the model of several tasks begins.

The new tokenizer is the one that `rrr warmup TASK…` would make. The embedding of a new token is the mean of the old
ones that spell its text, so the model says at once what it said before, and need not learn to copy and to count again.

    python tools/transplant.py OLD NEW TASK… [--weights TASK=NUMBER,…] [--vocabulary 2048]
    rrr warmup TASK… --model NEW
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.tasks import load_task
from rrr_core.tasks.presets import presets_of
from rrr_core.tasks.settings import TaskSettings
from rrr_core.training.interleaved import conversations_of
from rrr_core.training.tiny import make_model, make_tokenizer
from rrr_core.training.warmup import TOKENIZER_CONVERSATIONS
from rrr_core.training.warmup_settings import WarmupSettings


def embeddings(
    old: torch.Tensor, spelled_by: PreTrainedTokenizerBase, new: torch.Tensor, tokenizer: PreTrainedTokenizerBase
) -> torch.Tensor:
    """The new tokens' embeddings (tokens, width); one that no old tokens spell keeps its random one."""
    made = new.clone()
    known = spelled_by.get_vocab()
    for token, index in tokenizer.get_vocab().items():
        ids = [known[token]] if token in known else spelled_by(tokenizer.decode([index]), add_special_tokens=False)["input_ids"]
        if ids:
            made[index] = old[ids].mean(dim=0)
    return made


def transplanted(old_name: str, tasks: list[str], settings: WarmupSettings) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    old = load_transformers(old_name, dtype="float32")
    sample = TOKENIZER_CONVERSATIONS * len(tasks)
    told = itertools.islice(conversations_of([load_task(name) for name in tasks], settings), sample)
    tokenizer = make_tokenizer([turn["content"] for turns in told for turn in turns], settings.vocabulary, settings.tags)
    model = make_model(tokenizer, settings)
    kept = {name: weight for name, weight in old.network.state_dict().items() if "embed" not in name and "lm_head" not in name}
    missing = model.load_state_dict(kept, strict=False)
    if missing.unexpected_keys:
        raise SystemExit(f"{old_name} has other blocks than a model made from scratch: {missing.unexpected_keys[0]}")
    with torch.no_grad():
        table = model.get_input_embeddings().weight
        table.copy_(embeddings(old.network.get_input_embeddings().weight, old.tokenizer, table, tokenizer))
    return model, tokenizer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new", type=Path)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--weights", default="")
    parser.add_argument("--vocabulary", type=int, default=WarmupSettings.vocabulary)
    options = parser.parse_args()
    tags = presets_of(TaskSettings(" ".join(options.tasks)), "warmup").get("warmup", {}).get("tags", WarmupSettings.tags)
    chosen = WarmupSettings(weights=options.weights, vocabulary=options.vocabulary, tags=tuple(tags))
    model, tokenizer = transplanted(options.old, options.tasks, chosen)
    model.save_pretrained(options.new)
    tokenizer.save_pretrained(options.new)
