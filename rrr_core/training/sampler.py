"""The order in which failures are trained on: a pure function of seed and step, so that resuming repeats it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

import torch
from torch.utils.data import Sampler

from rrr_core.episode import Failure
from rrr_core.errors import RrrError
from rrr_core.training.settings import TrainSettings
from rrr_core.training.shares import dealt, shares_of


@dataclass(frozen=True, slots=True)
class FailureOrder:
    """Which failures, by index, make up which generation batch.

    An epoch is one permutation of all failures, cut into generation batches of `groups` failures; a remainder is
    dropped from that epoch. Batches are numbered from 0, through all epochs. A generation batch serves `repeats`
    forward passes, and an optimiser step takes `accumulation` of them, fewer at the end of an epoch. Passes are those
    of all processes together, as many as a single one takes.
    """

    failures: int
    groups: int
    seed: int
    repeats: int = 1
    accumulation: int = 1

    def __post_init__(self) -> None:
        if self.failures < self.groups:
            raise ValueError(f"a batch of {self.groups} groups needs at least as many failures, not {self.failures}")

    @property
    def batches(self) -> int:
        """Generation batches in an epoch."""
        return self.failures // self.groups

    def batch(self, number: int) -> list[int]:
        """The failures of a generation batch."""
        epoch, place = divmod(number, self.batches)
        return permutation(self.failures, self.seed, epoch)[place * self.groups : (place + 1) * self.groups]

    def beyond(self, number: int) -> list[int]:
        """The epoch's other failures: those after that batch, then those before it."""
        epoch, place = divmod(number, self.batches)
        order = permutation(self.failures, self.seed, epoch)
        return order[(place + 1) * self.groups :] + order[: place * self.groups]

    def number(self, step: int, forward_pass: int) -> int:
        """The generation batch used by a forward pass of an optimiser step, both counted from 0."""
        steps = -(-self.batches * self.repeats // self.accumulation)
        epoch, step = divmod(step, steps)
        return epoch * self.batches + (step * self.accumulation + forward_pass) // self.repeats

    def numbers(self, steps: Iterable[int]) -> list[int]:
        """The generation batches used by these optimiser steps, in order."""
        found = {}
        for step in steps:
            first = self.number(step, 0)
            last = min(self.number(step, self.accumulation - 1), (first // self.batches + 1) * self.batches - 1)
            found.update(dict.fromkeys(range(first, last + 1)))
        return list(found)


@dataclass(frozen=True)
class DealtOrder(FailureOrder):
    """An order for several tasks or a curriculum: groups are dealt to the tasks by their shares (`shares.dealt`).

    Each task goes through its own failures in one permutation after the other. A curriculum sorts what a task trains on
    in `steps` steps by the rows' pass rates. So neither adds a failure or leaves one out.
    """

    members: tuple[tuple[int, ...], ...] = ()
    """Each task's failures, by index."""
    shares: tuple[Fraction, ...] = ()
    rates: tuple[float, ...] = ()
    """Failure → what a curriculum sorts it by, ascending; empty without one."""
    steps: int = 0
    """Optimiser steps in all."""
    _sorted: dict[int, list[int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def batch(self, number: int) -> list[int]:
        return self._between(number * self.groups, (number + 1) * self.groups)

    def beyond(self, number: int) -> list[int]:
        """The failures of the batches that would follow, as many as there are failures at most, each of them once."""
        following = self._between((number + 1) * self.groups, (number + 1) * self.groups + self.failures)
        return list(dict.fromkeys(following))

    def _between(self, start: int, end: int) -> list[int]:
        # Dealt in stretches that double, so that few are cached.
        deal = dealt(self.shares, 1 << end.bit_length())
        return [self._drawn_by(task, nth) for task, nth in deal[start:end]]

    def _drawn_by(self, task: int, nth: int) -> int:
        """The failure of a task's nth group."""
        planned = self._planned(task) if self.rates else []
        return planned[nth] if nth < len(planned) else self._shuffled(task, nth)

    def _shuffled(self, task: int, nth: int) -> int:
        members = self.members[task]
        epoch, place = divmod(nth, len(members))
        return members[permutation(len(members), self.seed, epoch)[place]]

    def _planned(self, task: int) -> list[int]:
        """What a task trains on in all steps, by pass rate; equal ones stay shuffled."""
        if task not in self._sorted:
            last = max(self.numbers([self.steps - 1]))
            count = sum(whose == task for whose, _ in dealt(self.shares, (last + 1) * self.groups))
            drawn = [self._shuffled(task, nth) for nth in range(count)]
            self._sorted[task] = sorted(drawn, key=self.rates.__getitem__)
        return self._sorted[task]


def order_of(
    failures: Sequence[Failure], settings: TrainSettings, groups: int, repeats: int, accumulation: int
) -> FailureOrder:
    """The order of a training. Raises RrrError for weights of other tasks, and for a curriculum without pass rates."""
    counts = len(failures), groups, settings.seed, repeats, accumulation
    shares = shares_of(settings.weights, {failure.episode.task for failure in failures})
    if len(shares) == 1 and settings.curriculum == "none":
        return FailureOrder(*counts)
    sign = -1 if settings.curriculum == "easy-first" else 1
    rates = [failure.pass_rate for failure in failures] if settings.curriculum != "none" else []
    if None in rates:
        raise RrrError(
            f"--curriculum {settings.curriculum}: the failures come without the pass rates of their rows: read them"
            " from a folder that `rrr mine` wrote, or leave it out."
        )
    members = [
        tuple(place for place, failure in enumerate(failures) if failure.episode.task == task) for task in shares
    ]
    return DealtOrder(
        *counts,
        members=tuple(members),
        shares=tuple(shares.values()),
        rates=tuple(sign * rate for rate in rates if rate is not None),
        steps=settings.steps,
    )


@lru_cache(maxsize=16)
def permutation(failures: int, seed: int, epoch: int) -> list[int]:
    """An epoch's order of the numbers below `failures`. Cached: do not modify it."""
    random = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order: list[int] = torch.randperm(failures, generator=random).tolist()
    return order


class FailureSampler(Sampler[int]):  # type: ignore[misc]
    """Indices of failures, laid out as TRL's trainer wants them.

    Each failure of a batch is repeated `group_size` times in a row, and each generation batch as often as forward
    passes share it in one process, since TRL reads it once for each of them.

    >>> sorted(FailureSampler(FailureOrder(failures=2, groups=1, seed=0), group_size=2))
    [0, 0, 1, 1]
    """

    def __init__(self, order: FailureOrder, group_size: int, processes: int = 1) -> None:
        self.order, self.group_size, self.repeats = order, group_size, order.repeats // processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch, also after a resume."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.order.batches
        for number in range(first, first + self.order.batches):
            batch = self.order.batch(number)
            for _ in range(self.repeats):
                for index in batch:
                    yield from [index] * self.group_size

    def __len__(self) -> int:
        return self.order.batches * self.order.groups * self.group_size * self.repeats
