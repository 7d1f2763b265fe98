"""The speed of a training pass here: a few passes over random tokens, as training computes them, without a trainer."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from peft import get_peft_model
from trl.trainer.utils import add_fused_lm_head

from rrr_core.generation.trial import evaluating
from rrr_core.training.packing import Packing, inputs_of
from rrr_core.training.preflight import lora_config
from rrr_core.training.profiling import wait_for_device
from rrr_core.training.settings import TrainSettings
from rrr_core.training.shared_prompt import can_share

Clock = Callable[[], float]

MOST_RUNS, ENOUGH_SECONDS = 3, 1.0
"""A pass is repeated so often, or until its runs have taken so long together."""


@dataclass(frozen=True, slots=True)
class TimedPass:
    """Seconds of training's arithmetic, and whether prompts are shared in it."""

    trained: float
    """Per token, with a gradient."""
    scored: float
    """Per token, without one."""
    passing: float
    """Per pass, however few tokens."""
    update: float
    """Per optimiser step."""
    shares_prompts: bool


def time_passes(
    network: Any,
    settings: TrainSettings,
    prompt: int,
    completion: int,
    *,
    autocast: bool = False,
    checkpointed: bool = False,
    clock: Clock = time.perf_counter,
) -> TimedPass:
    """Time a micro-batch of `settings` with prompts and completions of so many tokens on a network.

    The network is trained a step: it is of no use afterwards. Raises torch.OutOfMemoryError where training would.
    """
    shares = settings.shared_prompt and can_share(network) is None
    add_fused_lm_head(network, temperature=settings.temperature, outputs=("log_probs", "entropy"))
    adapter = lora_config(settings)
    if adapter is not None:
        network = get_peft_model(network, adapter)
    if checkpointed:
        network.gradient_checkpointing_enable({"use_reentrant": False})
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=0.0)
    timer = _Timer(network, autocast, clock)
    network.train()
    groups = max(1, settings.micro_batch_size // settings.group_size)
    batch = _batch(network, settings.micro_batch_size, groups, prompt, completion)
    tiny = _batch(network, 1, 1, 2, 1)
    tokens = batch.tokens if shares else settings.micro_batch_size * (prompt + completion)

    def forward(packing: Packing) -> torch.Tensor:
        return timer.packed(packing) if shares else timer.padded(packing, prompt, completion)

    passing = timer.seconds(lambda: timer.backward(timer.packed(tiny) if shares else timer.padded(tiny, 2, 1)))
    whole = timer.seconds(lambda: timer.backward(forward(batch)))
    update = timer.seconds(optimiser.step)
    optimiser.zero_grad()
    with torch.no_grad(), evaluating(network):
        scored = timer.seconds(lambda: forward(batch))
    return TimedPass(
        trained=max(whole - passing, 0.0) / tokens,
        scored=max(scored - passing / 3, 0.0) / tokens,
        passing=passing,
        update=update,
        shares_prompts=shares,
    )


@dataclass(frozen=True)
class _Timer:
    network: Any
    autocast: bool
    clock: Clock

    def seconds(self, work: Callable[[], Any]) -> float:
        """The shortest of up to three runs, fewer of long ones, after one that is not counted."""
        work()
        taken: list[float] = []
        while len(taken) < MOST_RUNS and sum(taken) < ENOUGH_SECONDS:
            wait_for_device()
            began = self.clock()
            work()
            wait_for_device()
            taken.append(self.clock() - began)
        return min(taken)

    def packed(self, packing: Packing) -> torch.Tensor:
        with self._width():
            output = self.network(**inputs_of(packing), shift_labels=packing.labels, fused_lm_head=True)
        found: torch.Tensor = output.log_probs
        return found

    def padded(self, packing: Packing, prompt: int, completion: int) -> torch.Tensor:
        ids = torch.ones(len(packing.completion_lengths), prompt + completion, dtype=torch.long, device=packing.device)
        labels = ids.clone()
        labels[:, :prompt] = -100
        with self._width():
            found: torch.Tensor = self.network(input_ids=ids, labels=labels, fused_lm_head=True).log_probs
        return found

    def backward(self, log_probs: torch.Tensor) -> None:
        log_probs.float().mean().backward()

    def _width(self) -> AbstractContextManager[Any]:
        kind = self.network.device.type
        return torch.autocast(kind, dtype=torch.bfloat16) if self.autocast else nullcontext()


def _batch(network: Any, rows: int, groups: int, prompt: int, completion: int) -> Packing:
    """A micro-batch of random tokens: adjacent rows share a prompt."""
    vocabulary, source = network.config.get_text_config().vocab_size, torch.Generator().manual_seed(0)
    prompts = torch.randint(vocabulary, (groups, prompt), generator=source)
    owners = torch.arange(rows) * groups // rows
    written = torch.randint(vocabulary, (rows, completion), generator=source)
    ids = torch.cat([prompts[owners], written], dim=1).to(network.device)
    return Packing(ids, torch.ones_like(ids), completion)
