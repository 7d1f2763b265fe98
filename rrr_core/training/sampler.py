"""The order in which failures are trained on: a pure function of seed and epoch, so that resuming repeats it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class FailureSampler(Sampler[int]):  # type: ignore[misc]
    """Indices of failures, laid out as TRL's trainer wants them.

    An epoch is one permutation of all failures, cut into generation batches of `groups` failures; what does not fill a
    batch is left out of that epoch. Each failure is repeated `group_size` times side by side, and each generation batch
    `repeats` times, since TRL reads it once for every forward pass that shares it.

    >>> sampler = FailureSampler(failures=2, groups=1, group_size=2, repeats=1, seed=0)
    >>> sorted(sampler)
    [0, 0, 1, 1]
    """

    def __init__(self, *, failures: int, groups: int, group_size: int, repeats: int, seed: int) -> None:
        if failures < groups:
            raise ValueError(f"a batch of {groups} groups needs at least as many failures, not {failures}")
        self.failures, self.groups, self.group_size, self.repeats, self.seed = (
            failures,
            groups,
            group_size,
            repeats,
            seed,
        )
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch, after a resume as well."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order: list[int] = torch.randperm(self.failures, generator=random).tolist()
        for start in range(0, self.failures - self.groups + 1, self.groups):
            batch = order[start : start + self.groups]
            for _ in range(self.repeats):
                for index in batch:
                    yield from [index] * self.group_size

    def __len__(self) -> int:
        return self.failures // self.groups * self.groups * self.group_size * self.repeats
