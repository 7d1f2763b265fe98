"""A trainer's steps, checkpoints and tokens in a profile, and the metrics read from that profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rrr_core.profiling.profile import Profile, machine_of
from rrr_core.profiling.spent import Spent

SECONDS = {
    "generate_seconds": ("generate",),
    "judge_seconds": ("judge",),
    "train_seconds": ("forward_backward", "optimiser"),
    "sync_seconds": ("sync",),
}
"""Metric → kinds of work."""
RATES = {
    "written_tokens_per_second": (("written",), "generate"),
    "trained_tokens_per_second": (("trained", "scored"), "forward_backward"),
}
"""Metric → kinds of tokens, and the kind of work that makes them."""


class MeasureSteps(TrainerCallback):  # type: ignore[misc]
    """Reports the trainer's phases to the profile; what a step does besides forward and backward reports itself.

    Gradient clipping counts as backward, the log line before a checkpoint as saving. After each checkpoint the profile
    is written into `folder`, if there is one, with what the other processes have spent.
    """

    def __init__(
        self, profile: Profile, folder: Path | None, gather: Callable[[list[Spent]], list[Spent]] = list
    ) -> None:
        """`gather` concatenates all processes' lists, in every process."""
        self.profile, self.folder, self.gather = profile, folder, gather
        self._told = Spent()

    def add_up(self) -> None:
        """Add to the profile that is written what the other processes have spent since the last time."""
        now = self.profile.spent()
        own, self._told = now.minus(self._told), now
        parts = self.gather([own])
        if self.folder is not None:
            for other in parts[1:]:
                self.profile.add(other)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.profile.enter("forward_backward")

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        wait_for_device()
        self.profile.leave("forward_backward")
        self.profile.enter("optimiser")

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        wait_for_device()
        self.profile.leave("optimiser")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if control.should_save:
            self.profile.enter("save")

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.profile.leave("save")
        self.add_up()
        if self.folder is not None:
            self.profile.write(self.folder)


class Laps:
    """What a profile counted from one line of metrics to the next, as a mean over the steps between."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.before, self.step = profile.spent(), 0

    def metrics(self, step: int) -> dict[str, float]:
        """Seconds per step of each kind of work, and tokens per second, since the last line.

        Work that made no tokens has no rate.
        """
        before, now = self.before, self.profile.spent()
        steps = max(1, step - self.step)
        self.before, self.step = now, step

        def seconds(*kinds: str) -> float:
            return sum(now.seconds.get(kind, 0.0) - before.seconds.get(kind, 0.0) for kind in kinds)

        def tokens(*kinds: str) -> int:
            return sum(now.tokens.get(kind, 0) - before.tokens.get(kind, 0) for kind in kinds)

        found = {name: round(seconds(*kinds) / steps, 4) for name, kinds in SECONDS.items()}
        for name, (counted, taken) in RATES.items():
            if tokens(*counted) and seconds(taken) > 0:
                found[name] = round(tokens(*counted) / seconds(taken), 1)
        return found


@contextmanager
def scoring(profile: Profile) -> Iterator[None]:
    """A forward pass outside a step's own: waits for the device, so that its time counts here and nowhere else."""
    outside = profile.kind != "forward_backward"
    with profile.during("forward_backward"):
        yield
        if outside:
            wait_for_device()


def count_tokens(profile: Profile, policy: Any, reference: Any = None) -> None:
    """Have the profile count the tokens, padding included, that the networks compute in training and scoring.

    They are counted at the embedding, where every pass begins: a network may be wrapped, or called through a part.
    """

    def count(_module: Any, arguments: tuple[Any, ...]) -> None:
        if profile.kind == "forward_backward":
            profile.count(**{"trained" if torch.is_grad_enabled() else "scored": arguments[0].numel()})

    for network in (policy, reference):
        if network is not None:
            network.get_input_embeddings().register_forward_pre_hook(count)
    profile.machine = machine_of(policy)


def wait_for_device() -> None:
    """Wait until the accelerator has finished its work. Between the parts of a step this is nearly free."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
