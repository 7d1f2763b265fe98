"""A generation batch dealt out to its forward passes: groups side by side, and those without a signal not computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

MAY_LEAVE_OUT = frozenset({"dapo", "cispo", "vespo", "grpo", "dr_grpo", "sapo", "luspo"})
"""Losses of TRL in which a row whose loss is zero changes no other row's: all but bnpo, which divides by the tokens of
the micro-batch it happens to be in."""


def has_signal(rewards: Sequence[float | None], group_size: int) -> list[bool]:
    """For each row, whether the judged rewards of its group differ; rows of a group stand side by side.

    >>> has_signal([1, 0, None, 1, 1, None], 3)
    [True, True, True, False, False, False]
    """
    groups = [rewards[start : start + group_size] for start in range(0, len(rewards), group_size)]
    return [spread for group in groups for spread in [len({*group} - {None}) > 1] * len(group)]


def deal(
    batch: Mapping[str, Any], kept: Sequence[bool], *, count: int, group_size: int, seed: int
) -> list[dict[str, Any]]:
    """`count` micro-batches of equally many rows, the kept rows of `batch` in the first ones.

    `batch` maps names to tensors whose first dimension is the rows, and to tensors without dimensions, which every
    micro-batch gets. A row that is not kept stays, since processes of one run gather rows from each other and so must
    have equally many, but its completion is masked out: it is not computed, and its loss is zero.
    Groups come in an order drawn by `seed`, since one generation may serve several optimiser steps; the rows of a group
    stay side by side, so that they share their prompt.
    """
    rows = len(kept)
    groups = [range(start, min(start + group_size, rows)) for start in range(0, rows, group_size)]
    drawn: list[int] = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = [row for group in drawn for row in groups[group]]
    order = sorted(shuffled, key=lambda row: not kept[row])
    mask = batch["completion_mask"]
    masked = {**batch, "completion_mask": mask * torch.tensor(kept, device=mask.device, dtype=mask.dtype)[:, None]}
    size = rows // count
    return [_rows_of(masked, order[start : start + size], rows) for start in range(0, rows, size)]


def _rows_of(batch: Mapping[str, Any], indices: Sequence[int], rows: int) -> dict[str, Any]:
    def select(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dim() and len(value) == rows:
            return value[torch.tensor(indices, device=value.device)]
        return value

    return {name: select(value) for name, value in batch.items()}
