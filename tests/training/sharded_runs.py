"""Runs whose texts do not depend on the number of processes, for tests that compare sharded weights with whole ones."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rrr_core.generation import ModelSettings
from rrr_core.generation.engine import Sampling
from rrr_core.generation.transformers_engine import TransformersEngine
from rrr_core.progress import Progress
from rrr_core.training.run import leave_processes, train
from rrr_core.training.settings import TrainSettings
from tests.training.conftest import CoinTask, coin_failures

LONG = 40
"""Most tokens of a reflection. The tiny model ends most texts after four, so processes write for unequal times."""
SETTINGS = TrainSettings(
    steps=2,
    group_size=4,
    batch_size=16,
    micro_batch_size=4,
    learning_rate=1e-3,
    scheduler="constant",
    warmup_ratio=0.0,
    kl=0.1,
    temperature=1.0,
    max_reflection_tokens=LONG,
    max_retry_tokens=5,
    save_every=1,
    max_abstain=1.0,
    # A step in proportion to the gradient: Adam's own makes one of rounding as large as any other.
    grpo={"adam_epsilon": "1e-3"},
)
KINDS: dict[str, dict[str, Any]] = {
    "whole": {},
    "lora": {"lora_rank": 2},
    "keep": {"zero_variance": "keep", "shared_prompt": False},
}
"""Name of a run → what is unlike `SETTINGS`."""


WRITE = TransformersEngine.generate_ids


def write_alike(
    engine: TransformersEngine,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    on_done: Callable[[int], None] | None = None,
    places: Sequence[int] | None = None,
) -> list[list[int]]:
    """Texts drawn by their prompt and their number among those on that prompt, whatever process they are in."""
    seen: Counter[tuple[int, ...]] = Counter()
    own = []
    for prompt in map(tuple, prompts):
        own.append(sum(prompt) % 9973 * 100 + seen[prompt])
        seen[prompt] += 1
    return WRITE(engine, prompts, dataclasses.replace(sampling, seed=0), on_done, own)


def run(kind: str, model: Path, folder: Path, **changes: Any) -> None:
    """Train one of the `KINDS` in `folder`, with settings changed."""
    settings = dataclasses.replace(SETTINGS, **{**KINDS[kind], **changes})
    TransformersEngine.generate_ids = write_alike  # type: ignore[method-assign]
    try:
        train(CoinTask(), coin_failures(), ModelSettings(model=str(model)), folder, settings, Progress())
    finally:
        TransformersEngine.generate_ids = WRITE  # type: ignore[method-assign]


if __name__ == "__main__":
    for one in json.loads(sys.argv[1]):
        run(one.pop("kind"), Path(one.pop("model")), Path(one.pop("folder")), **one)
    leave_processes()
