"""A model with the blocks of another and a tokenizer of several tasks: where the embedded model began.

The new tokenizer is the one that `rrr warmup TASK…` would make. The embedding of a new token is the mean of the old
ones that spell its text, so the model says at once much of what it said before, and need not learn to copy again.

    python tools/transplant.py OLD NEW TASK… [--weights TASK=NUMBER,…]
    rrr warmup TASK… --model NEW
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

from rrr_core.tasks import load_task
from rrr_core.tasks.presets import presets_of
from rrr_core.tasks.settings import TaskSettings
from rrr_core.training.interleaved import conversations_of
from rrr_core.training.warmup_settings import WarmupSettings


def embeddings(old: Any, spelled_by: Any, new: Any, tokenizer: Any) -> Any:
    """The new tokens' embeddings (tokens, width); one that no old tokens spell keeps its random one."""
    made, known = new.clone(), spelled_by.get_vocab()
    for token, index in tokenizer.get_vocab().items():
        text = tokenizer.decode([index])
        ids = [known[token]] if token in known else spelled_by(text, add_special_tokens=False)["input_ids"]
        if ids:
            made[index] = old[ids].mean(dim=0)
    return made


def transplanted(old_name: str, tasks: list[str], settings: WarmupSettings) -> tuple[Any, Any]:
    """The new model and its tokenizer."""
    import torch

    from rrr_core.generation.transformers_backend import load_transformers
    from rrr_core.training.tiny import make_model, make_tokenizer
    from rrr_core.training.warmup import TOKENIZER_CONVERSATIONS

    old = load_transformers(old_name, dtype="float32")
    stream = conversations_of([load_task(name) for name in tasks], settings)
    texts = [
        turn["content"] for turns in itertools.islice(stream, TOKENIZER_CONVERSATIONS * len(tasks)) for turn in turns
    ]
    tokenizer = make_tokenizer(texts, settings.vocabulary, settings.tags)
    model = make_model(tokenizer, settings)
    blocks = {name: each for name, each in old.network.model.state_dict().items() if not name.startswith("embed")}
    unknown = model.model.load_state_dict(blocks, strict=False).unexpected_keys
    if unknown:
        raise SystemExit(f"{old_name} has other blocks than a model made from scratch, such as {unknown[0]}.")
    with torch.no_grad():
        table = model.get_input_embeddings().weight
        table.copy_(embeddings(old.network.get_input_embeddings().weight, old.tokenizer, table, tokenizer))
    return model, tokenizer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="the model whose blocks are taken, by folder or hub name")
    parser.add_argument("new", type=Path, help="the folder to write")
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--weights", default="", help="as in rrr warmup")
    options = parser.parse_args()
    own = presets_of(TaskSettings(" ".join(options.tasks)), "warmup").get("warmup", {})
    tags = tuple(own.get("tags", WarmupSettings.tags))
    model, tokenizer = transplanted(options.old, options.tasks, WarmupSettings(weights=options.weights, tags=tags))
    model.save_pretrained(options.new)
    tokenizer.save_pretrained(options.new)
