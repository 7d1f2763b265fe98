"""Warm-up settings. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rrr_core.config.option import option
from rrr_core.config.settings import Settings
from rrr_core.errors import RrrError
from rrr_core.training.shares import read_weights

PRECISIONS = ("auto", "float32", "bfloat16")
TAGS = ("<answer>", "</answer>")
"""Strings that are one plain-text token each in a tokenizer made from scratch, unless others are named."""


@dataclass(frozen=True)
class WarmupSettings(Settings):
    """Supervised training on a task's worked conversations; without a model, a tiny one is made from scratch."""

    conversations: int = option(192_000, "Worked conversations learned from.", minimum=1)
    weights: str = option(
        "", "Of several tasks, each one's weight in the conversations, as TASK=NUMBER,…: 1 for those left out."
    )
    batch_size: int = option(64, "Conversations in one step.", minimum=1)
    micro_batch_size: int | None = option(
        None, "Conversations in one pass, of which a step adds up several; by default all are one pass.", minimum=1
    )
    learning_rate: float = option(2e-3, "Peak learning rate.", minimum=0)
    warmup_ratio: float = option(0.03, "Share of steps over which the learning rate rises.", minimum=0, maximum=0.99)
    weight_decay: float = option(0.01, "Weight decay.", minimum=0)
    hidden_size: int = option(128, "Width of a model made from scratch.", minimum=8)
    layers: int = option(4, "Layers of a model made from scratch.", minimum=1)
    heads: int = option(4, "Attention heads of a model made from scratch.", minimum=1)
    context: int = option(1024, "Longest context of a model made from scratch, in tokens.", minimum=16)
    vocabulary: int = option(2048, "Most tokens of a tokenizer made from scratch.", minimum=300)
    tags: tuple[str, ...] = option(TAGS, "One token of a tokenizer made from scratch. May be repeated.")
    template: Mapping[str, str] = option(
        {}, "What the chat template is given, as KEY=JSON, such as enable_thinking=false."
    )
    precision: str = option(
        "auto",
        "What passes are computed in; the weights and the optimizer stay float32. bfloat16 is autocast, and twice as"
        " fast where the processor has it; auto is that on a GPU that has it, and else float32.",
        choices=PRECISIONS,
    )
    save_every: int = option(500, "Steps between checkpoints.", minimum=1)
    seed: int = option(0, "Seed of the conversations' order and of the weights.", minimum=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        read_weights(self.weights)
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            raise RrrError(
                f"batch size {self.batch_size} is not a multiple of micro-batch size {self.micro_batch_size}:"
                " change one."
            )

    def identity(self) -> dict[str, Any]:
        """What a warm-up's manifest records: what earlier versions lacked only where it is set."""
        later: dict[str, Any] = {"template": {}, "weights": "", "precision": "auto", "micro_batch_size": None}
        return {name: value for name, value in dataclasses.asdict(self).items() if value != later.get(name, ...)}
