"""The order in which failures are trained on: a pure function of seed and step, so that resuming repeats it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.utils.data import Sampler


@dataclass(frozen=True, slots=True)
class FailureOrder:
    """Which failures, by index, make up which generation batch.

    An epoch is one permutation of all failures, cut into generation batches of `groups` failures; a remainder is
    dropped from that epoch. Batches are numbered from 0, through all epochs. A generation batch serves
    `repeats` forward passes, and an optimiser step takes `accumulation` of them, fewer at the end of an epoch.
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


@lru_cache(maxsize=2)
def permutation(failures: int, seed: int, epoch: int) -> list[int]:
    """An epoch's order of the numbers below `failures`. Cached: do not modify it."""
    random = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order: list[int] = torch.randperm(failures, generator=random).tolist()
    return order


class FailureSampler(Sampler[int]):  # type: ignore[misc]
    """Indices of failures, laid out as TRL's trainer wants them.

    Each failure of a batch is repeated `group_size` times in a row, and each generation batch as often as forward
    passes share it, since TRL reads it once for each of them.

    >>> sorted(FailureSampler(FailureOrder(failures=2, groups=1, seed=0), group_size=2))
    [0, 0, 1, 1]
    """

    def __init__(self, order: FailureOrder, group_size: int) -> None:
        self.order, self.group_size = order, group_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch, also after a resume."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.order.batches
        for number in range(first, first + self.order.batches):
            batch = self.order.batch(number)
            for _ in range(self.order.repeats):
                for index in batch:
                    yield from [index] * self.group_size

    def __len__(self) -> int:
        return self.order.batches * self.order.groups * self.group_size * self.order.repeats
