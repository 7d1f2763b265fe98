"""One step's batch, the same for every side, and a side: a trainer that takes one step at a time, and its clock."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from exact import Step
from made_up import END, SPECIAL
from transformers import TrainerCallback

from rrr_core.episode import Episode, Failure, Segment
from rrr_core.training.rollout import Rollout
from rrr_core.verdicts import failed, passed


@dataclass(frozen=True)
class Batch:
    """One step's batch: each group's prompt, its G reflections, their rewards."""

    prompt_ids: list[list[int]]
    reflection_ids: list[list[list[int]]]
    rewards: list[list[float]]


def make_batch(
    groups: int, group_size: int, prompt: int, lengths: tuple[int, int], vocabulary: int, seed: int
) -> Batch:
    """Random ids; a group's reflections have evenly spread `lengths` and end with the end token, and both rewards."""
    chance = random.Random(seed)
    shortest, longest = lengths
    written = [shortest + (longest - shortest) * place // max(1, group_size - 1) for place in range(group_size)]
    chance.shuffle(written)

    def ids(count: int) -> list[int]:
        return [chance.randrange(len(SPECIAL), vocabulary) for _ in range(count)]

    return Batch(
        [ids(prompt) for _ in range(groups)],
        [[[*ids(length - 1), END] for length in written] for _ in range(groups)],
        [[1.0, 0.0, *(float(chance.random() < 0.5) for _ in range(group_size - 2))] for _ in range(groups)],
    )


class FixedRollout(Rollout):
    """Returns the batch instead of sampling one."""

    batch: Batch

    def play(self, failures: Sequence[Failure], seed: tuple[object, ...]) -> list[Episode]:
        episodes, places = [], [0] * len(self.batch.prompt_ids)
        for failure in failures:
            group, place = failure.row_index, places[failure.row_index]
            places[group] += 1
            verdict = passed() if self.batch.rewards[group][place] else failed("tails")
            episodes.append(
                failure.episode.extended(
                    Segment("prompt", ids=tuple(self.batch.prompt_ids[group])),
                    Segment("reflection", text=str(place), ids=tuple(self.batch.reflection_ids[group][place])),
                    Segment("prompt", ids=(END,)),
                    Segment("retry", text=str(place), ids=(END,), verdict=verdict),
                )
            )
        return episodes


@dataclass
class Watch(TrainerCallback):
    """Seconds of each step, from TRL's start of it to after the optimiser; the gradients if wanted."""

    wants_gradients: bool = False
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Processor time of each step, of all threads."""
    gradients: dict[str, torch.Tensor] = field(default_factory=dict)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        synchronise()
        self.began, self.processor_began = time.perf_counter(), time.process_time()

    def on_pre_optimizer_step(self, *_: Any, model: Any = None, **__: Any) -> None:
        if self.wants_gradients:
            self.gradients = {name: one.grad.detach().cpu().clone() for name, one in model.named_parameters()}

    def on_step_end(self, *_: Any, **__: Any) -> None:
        synchronise()
        self.seconds.append(time.perf_counter() - self.began)
        self.processor.append(time.process_time() - self.processor_began)


def synchronise() -> None:
    """Wait for the GPU, which runs asynchronously."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@dataclass
class Side:
    """One way to train, one step at a time."""

    trainer: Any
    watch: Watch
    context: Callable[[], AbstractContextManager[None]] = nullcontext

    def step(self, wants_gradients: bool = False) -> Mapping[str, float]:
        """Do one step; returns what TRL logged."""
        self.watch.wants_gradients = wants_gradients
        with self.context():
            self.trainer.train()
        return next(line for line in self.trainer.state.log_history if "loss" in line)

    def compared(self) -> Step:
        """Do one step; returns its loss and gradients, and forgets its times.

        Gradients are not clipped: their norm, in float32, is less exact than they are.
        """
        self.trainer.args.max_grad_norm, most = 0.0, self.trainer.args.max_grad_norm
        loss = self.step(wants_gradients=True)["loss"]
        self.trainer.args.max_grad_norm = most
        found = Step(loss, self.watch.gradients)
        self.watch.gradients, self.watch.seconds, self.watch.processor = {}, [], []
        return found
