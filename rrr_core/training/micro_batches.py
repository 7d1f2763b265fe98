"""A generation batch split into micro-batches: whole groups together, zero-variance groups not computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

MAY_DROP = frozenset({"dapo", "cispo", "vespo", "grpo", "dr_grpo", "sapo", "luspo"})
"""TRL's losses in which a row whose loss is zero changes no other row's: all but bnpo, which divides by the tokens of
the micro-batch a row happens to be in."""


def has_variance(rewards: Sequence[float | None], group_size: int) -> list[bool]:
    """For each row, whether the judged rewards of its group differ; rows of a group are adjacent.

    >>> has_variance([1, 0, None, 1, 1, None], 3)
    [True, True, True, False, False, False]
    """
    groups = [rewards[start : start + group_size] for start in range(0, len(rewards), group_size)]
    return [spread for group in groups for spread in [len({*group} - {None}) > 1] * len(group)]


def split_micro_batches(
    batch: Mapping[str, Any], kept: Sequence[bool], *, count: int, order: Sequence[int]
) -> list[dict[str, Any]]:
    """The rows of `batch` in `count` micro-batches of equal size, in this order.

    `batch` maps names to tensors (B, ...), and to tensors without dimensions, which every micro-batch gets. A row that
    is not kept stays, since the processes of a run gather rows from each other and so need equally many, but its
    completion is masked out: it is not computed, and its loss is zero.
    """
    rows = len(kept)
    mask = batch["completion_mask"]
    masked = {**batch, "completion_mask": mask * torch.tensor(kept, device=mask.device, dtype=mask.dtype)[:, None]}
    size = rows // count
    return [_rows_of(masked, order[start : start + size], rows) for start in range(0, rows, size)]


def dealt_order(kept: Sequence[bool], group_size: int, seed: int) -> list[int]:
    """The order in which a generation batch's rows are trained on: kept rows first.

    `seed` draws the order of the groups, since one generation may serve several optimiser steps; the rows of a group
    stay adjacent, so that they share their prompt.
    """
    rows = len(kept)
    groups = [range(start, min(start + group_size, rows)) for start in range(0, rows, group_size)]
    drawn: list[int] = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = [row for group in drawn for row in groups[group]]
    return sorted(shuffled, key=lambda row: not kept[row])


def shares_of_steps(order: Sequence[int], step_rows: int, process: int, processes: int) -> list[int]:
    """A process's rows of a batch that several steps take in this order, `step_rows` each: its share of every step.

    >>> shares_of_steps([0, 1, 2, 3, 4, 5, 6, 7], 4, process=1, processes=2)
    [2, 3, 6, 7]
    """
    share = step_rows // processes
    starts = range(process * share, len(order), step_rows)
    return [row for start in starts for row in order[start : start + share]]


def _rows_of(batch: Mapping[str, Any], indices: Sequence[int], rows: int) -> dict[str, Any]:
    def select(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dim() and len(value) == rows:
            return value[torch.tensor(indices, device=value.device)]
        return value

    return {name: select(value) for name, value in batch.items()}
