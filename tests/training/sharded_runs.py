"""Runs of one process or of several, for tests that compare sharded weights with whole ones."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

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
    "lora": {"lora_rank": 2, "scheduler": "linear"},  # a resumed run has to find its place in the schedule
    "keep": {"zero_variance": "keep", "shared_prompt": False},
}
"""Name of a run → what is unlike `SETTINGS`."""


WRITE = TransformersEngine.generate_ids
WRITTEN: list[int] = []
"""The longest text of each call in this process: as often it computed its model."""
BY_ACCELERATE = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
"""What `accelerate launch` sets for a configuration with FSDP 2."""


def write_noting(
    engine: TransformersEngine,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    on_done: Callable[[int], None] | None = None,
    places: Sequence[int] | None = None,
) -> list[list[int]]:
    """As the engine writes; the longest text's tokens are noted."""
    texts = WRITE(engine, prompts, sampling, on_done, places)
    WRITTEN.append(max(map(len, texts), default=0))
    return texts


def run(kind: str, model: str, folder: str, by_accelerate: bool = False, **changes: Any) -> None:
    """Train one of the `KINDS` in `folder`, with settings changed; what was written is noted beside the folder."""
    settings = dataclasses.replace(SETTINGS, **{**KINDS[kind], **changes})
    WRITTEN.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransformersEngine, "generate_ids", write_noting)
        for name, value in BY_ACCELERATE.items() if by_accelerate else ():
            patch.setenv(name, value)
        train(CoinTask(), coin_failures(), ModelSettings(model=model), Path(folder), settings, Progress())
    Path(f"{folder}.written-{os.environ.get('RANK', '0')}").write_text(json.dumps(WRITTEN))


if __name__ == "__main__":
    for one in json.loads(sys.argv[1]):
        run(**one)
    leave_processes()
