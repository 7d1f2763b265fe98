"""A generation batch dealt out to its forward passes: groups side by side, and only those with a signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

FILLER = "filler"
"""The key of a micro-batch that nothing was left for. It is computed, since every process has to call its model equally
often, and its loss is zero."""
SHARE = "share"
"""The key under which a micro-batch has its rows over those of a full one: what a loss that is a mean over rows is
multiplied by, so that rows left out count as rows with a loss of zero."""

SUMS_TOKENS = frozenset({"dapo", "cispo", "vespo"})
"""Losses that are sums over tokens, divided by a number of the whole generation batch: rows left out change nothing."""
AVERAGES_ROWS = frozenset({"grpo", "dr_grpo", "sapo", "luspo"})
"""Losses that are means over the rows of a micro-batch."""


def has_signal(rewards: Sequence[float | None], group_size: int) -> list[bool]:
    """For each row, whether the judged rewards of its group differ; rows of a group stand side by side.

    >>> has_signal([1, 0, None, 1, 1, None], 3)
    [True, True, True, False, False, False]
    """
    groups = [rewards[start : start + group_size] for start in range(0, len(rewards), group_size)]
    return [spread for group in groups for spread in [len({*group} - {None}) > 1] * len(group)]


def deal(
    batch: Mapping[str, Any], kept: Sequence[bool], *, count: int, size: int, group_size: int, seed: int
) -> list[dict[str, Any]]:
    """`count` micro-batches of `size` rows at most, filled one after another with the kept rows of `batch`.

    `batch` maps names to tensors whose first dimension is the rows, and to tensors without dimensions, which every
    micro-batch gets. Groups come in an order drawn by `seed`, since one generation may serve several optimiser steps;
    the rows of a group stay side by side, so that they share their prompt.
    """
    rows = len(kept)
    groups = [range(start, min(start + group_size, rows)) for start in range(0, rows, group_size)]
    order: list[int] = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed)).tolist()
    left = [row for group in order for row in groups[group] if kept[row]]
    return [
        _rows_of(batch, part, rows) | {SHARE: len(part) / size} if part else _filler(batch, rows)
        for part in (left[start : start + size] for start in range(0, count * size, size))
    ]


def _rows_of(batch: Mapping[str, Any], indices: Sequence[int], rows: int) -> dict[str, Any]:
    def select(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dim() and len(value) == rows:
            return value[torch.tensor(indices, device=value.device)]
        return value

    return {name: select(value) for name, value in batch.items()}


def _filler(batch: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """The smallest batch that a model can be called with: the end of a prompt and one token after it."""
    first = _rows_of(batch, [0], rows)
    return {
        "prompt_ids": first["prompt_ids"][:, -2:],
        "prompt_mask": first["prompt_mask"][:, -2:],
        "completion_ids": first["completion_ids"][:, :1],
        "completion_mask": torch.ones_like(first["completion_mask"][:, :1]),
        FILLER: True,
    }
