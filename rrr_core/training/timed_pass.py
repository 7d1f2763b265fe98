"""The speed of a training pass here: a few passes over random tokens, as training computes them, without a trainer."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
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
LONG_SECONDS = 5.0
"""A first run that took so long is not repeated: what was loaded late is but a small part of it."""
FIRST_TOKENS, GROWTH = 128, 4
"""Where the time is limited, a pass over so many tokens is timed first, then over so many times more."""


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
    tokens: int
    """Of the pass that was timed."""
    asked: int
    """Of the pass that was to be timed: more, if it would have taken too long."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a pass."""

    rows: int
    groups: int
    """Distinct prompts."""
    prompt: int
    completion: int
    shares: bool
    """Whether a prompt is computed once for its group."""

    @property
    def tokens(self) -> int:
        return (self.groups if self.shares else self.rows) * self.prompt + self.rows * self.completion

    def within(self, tokens: float) -> Size:
        """A smaller size of about this form with at most so many tokens: fewer rows, then shorter texts.

        >>> Size(8, 2, 100, 50, True).within(300)
        Size(rows=4, groups=1, prompt=100, completion=50, shares=True)
        >>> Size(8, 2, 100, 50, True).within(80)
        Size(rows=1, groups=1, prompt=50, completion=25, shares=True)
        """
        size = self
        while size.tokens > tokens and (size.rows > 1 or size.prompt + size.completion > 2):
            if size.rows > 1:
                size = replace(size, rows=size.rows // 2, groups=max(size.groups // 2, 1))
            else:
                size = replace(size, prompt=max(size.prompt // 2, 1), completion=max(size.completion // 2, 1))
        return size


def time_passes(
    network: Any,
    settings: TrainSettings,
    prompt: int,
    completion: int,
    *,
    autocast: bool = False,
    checkpointed: bool = False,
    clock: Clock = time.perf_counter,
    seconds: float = float("inf"),
) -> TimedPass:
    """Time a micro-batch of `settings` with prompts and completions of so many tokens on a network.

    A smaller one is timed where that would take more than about `seconds` in all.

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
    asked = Size(settings.micro_batch_size, groups, prompt, completion, shares)
    began = clock()

    def forward(size: Size) -> Callable[[], torch.Tensor]:
        packing = _batch(network, size)
        return lambda: timer.packed(packing) if shares else timer.padded(packing, size.prompt, size.completion)

    def both_ways(size: Size) -> float:
        run = forward(size)
        return timer.seconds(lambda: timer.backward(run()))

    tiny = Size(1, 1, 2, 1, shares)
    passing = both_ways(tiny)
    update = timer.seconds(optimiser.step)

    def affordable(whole: float) -> bool:
        # Twice there and back, and twice there again.
        return 2 * (1 + 1 / 3) * whole <= seconds - (clock() - began)

    size = asked if affordable(passing / tiny.tokens * asked.tokens) else asked.within(FIRST_TOKENS)
    whole = both_ways(size)
    while size.tokens < asked.tokens:
        larger = asked.within(GROWTH * size.tokens)
        if larger.tokens <= size.tokens or not affordable(whole / size.tokens * larger.tokens):
            break
        size, whole = larger, both_ways(larger)
    tokens = _batch(network, size).tokens if shares else size.tokens
    optimiser.zero_grad()
    with torch.no_grad(), evaluating(network):
        scored = timer.seconds(forward(size))
    return TimedPass(
        trained=max(whole - passing, 0.0) / tokens,
        scored=max(scored - passing / 3, 0.0) / tokens,
        passing=passing,
        update=update,
        shares_prompts=shares,
        tokens=size.tokens,
        asked=asked.tokens,
    )


@dataclass(frozen=True)
class _Timer:
    network: Any
    autocast: bool
    clock: Clock

    def seconds(self, work: Callable[[], Any]) -> float:
        """The shortest of up to three runs, fewer of long ones, after one that is not counted unless it was long."""
        began = self.clock()
        work()
        wait_for_device()
        if (first := self.clock() - began) > LONG_SECONDS:
            return first
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


def _batch(network: Any, size: Size) -> Packing:
    """A micro-batch of random tokens: adjacent rows share a prompt."""
    vocabulary, source = network.config.get_text_config().vocab_size, torch.Generator().manual_seed(0)
    prompts = torch.randint(vocabulary, (size.groups, size.prompt), generator=source)
    owners = torch.arange(size.rows) * size.groups // size.rows
    written = torch.randint(vocabulary, (size.rows, size.completion), generator=source)
    ids = torch.cat([prompts[owners], written], dim=1).to(network.device)
    return Packing(ids, torch.ones_like(ids), size.completion)
