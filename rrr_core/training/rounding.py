"""Steps of training that are lost in the rounding of weights.

A weight in bfloat16 has eight significant bits. AdamW moves it by about the learning rate at most, and if that is less
than half of the distance to the next number, the sum is the weight again: nothing is kept of the step for the next one.
Of SmolLM2's weights 96% cannot move at a rate of 3e-5; after 24 steps 97% were what they had been.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch

from rrr_core.training.settings import TrainSettings
from rrr_core.training.sharding import launched_with

ADAMW = ("adamw_torch", "adamw_torch_fused")
"""What `optim` is by default, and its twin: a weight moves by about the learning rate, and is rounded as torch does."""
SAMPLE = 1 << 16
"""Most weights of a tensor that are looked at, about."""
MANY = 0.5
"""Share of weights that cannot move from which on it is said."""


def immovable(weights: Iterable[torch.Tensor], step: float) -> float:
    """The share of weights that a step of that size leaves as they are, from a sample of each tensor.

    >>> immovable([torch.tensor([0.5, -0.5, 1e-4, 0.0], dtype=torch.bfloat16)], 3e-5)
    0.5
    >>> immovable([torch.tensor([0.5, -0.5, 1e-4, 0.0])], 3e-5)
    0.0
    """
    still, count = 0.0, 0
    for weight in weights:
        flat = weight.detach().flatten()
        sample = flat[:: -(-len(flat) // SAMPLE) or 1]
        moved = [(sample.float() + each).to(sample.dtype) != sample for each in (step, -step)]
        still += float((~(moved[0] | moved[1])).sum()) * len(flat) / max(1, len(sample))
        count += len(flat)
    return still / max(1, count)


def lost_steps(network: Any, settings: TrainSettings) -> str | None:
    """A line on steps that are lost where most of a network's weights cannot move by one; None elsewhere.

    Adapters are in float32 whatever the network is in, DeepSpeed keeps weights in float32 beside those it computes
    with, and other optimisers may round in ways of their own.
    """
    dtype = next(network.parameters()).dtype
    if dtype is torch.float32 or settings.lora_rank or settings.grpo.get("optim", ADAMW[0]) not in ADAMW:
        return None
    sharding = launched_with(os.environ) if settings.sharding == "none" else settings.sharding
    if sharding.startswith("zero") or (share := immovable(network.parameters(), settings.learning_rate)) < MANY:
        return None
    return (
        f"{share:.1%} of the weights cannot move: in {str(dtype).removeprefix('torch.')} a step of the learning rate,"
        f" {settings.learning_rate:g}, is lost in rounding. Leave out --dtype, and they are float32 (passes are in"
        " bfloat16 on a GPU, and on a CPU with --grpo bf16=true), or train adapters (--lora-rank)."
    )
