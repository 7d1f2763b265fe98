"""A prefix cache: what an engine has read and written, kept for prompts that begin alike while the weights stay."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

Ids = tuple[int, ...]

WORTH_KEEPING = 0.6
"""Share of a cache's storage that has to be in use for it to be kept as it is; else the part in use is copied."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows that left a batch together."""

    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    """Each layer's keys and values, each (R, heads, T, D)."""
    size: int
    """Bytes that they keep from being freed."""


@dataclass(frozen=True, slots=True)
class Found:
    """The columns of a block's row that hold what a prompt begins with."""

    block: Block
    row: int
    start: int
    length: int


class PrefixCache:
    """Rows' ids with their keys and values, at most `limit` bytes of these; the oldest go first."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._blocks: deque[Block] = deque()
        self._found: dict[Ids, Found] = {}
        self._sorted: list[Ids] | None = None

    def clear(self) -> None:
        """Forget everything."""
        self._blocks.clear()
        self._found, self._sorted, self.size = {}, None, 0

    def keep(self, cache: Any, rows: torch.Tensor, starts: Sequence[int], ids: Sequence[Ids]) -> None:
        """Keep `rows` of a growing cache of plain layers; `ids[r]` stand in its columns from `starts[r]` on.

        Ids beyond the cache's last column, of tokens that were sampled and never read, are left out. Where all rows
        are kept, the cache itself is, and must not be written any more.
        """
        block, first = _block(cache, rows, min(starts))
        if block.size > self.limit:
            return
        self._blocks.append(block)
        self.size += block.size
        for row, (start, written) in enumerate(zip(starts, ids, strict=True)):
            known = written[: cache.get_seq_length() - start]
            self._found[known] = Found(block, row, start - first, len(known))
        self._sorted = None
        forgotten = set()
        while self.size > self.limit:
            oldest = self._blocks.popleft()
            self.size -= oldest.size
            forgotten.add(oldest)
        if forgotten:
            self._found = {ids: found for ids, found in self._found.items() if found.block not in forgotten}

    def longest(self, prompt: Ids) -> Found | None:
        """The kept row that begins like the prompt for longest, up to the prompt's last token; None where none does."""
        if self._sorted is None:
            self._sorted = sorted(self._found)
        place = bisect_left(self._sorted, prompt)
        # In the order of their ids, the row with the most in common stands right before or behind the prompt's place.
        best, longest = None, 0
        for ids in self._sorted[max(place - 1, 0) : place + 1]:
            common = min(common_length(ids, prompt), len(prompt) - 1)
            if common > longest:
                best, longest = ids, common
        if best is None:
            return None
        found = self._found[best]
        return Found(found.block, found.row, found.start, longest)


def _block(cache: Any, rows: torch.Tensor, first: int) -> tuple[Block, int]:
    """The rows' block, and which of the cache's columns is its first one: `first`, or 0 where nothing is copied."""
    all_states = [states for layer in cache.layers for states in (layer.keys, layer.values)]
    # Of the whole storage, which may have had more rows and have columns to spare.
    held = sum(states.untyped_storage().nbytes() for states in all_states)
    batch, _, columns, _ = all_states[0].shape
    used = sum(states.numel() * states.element_size() for states in all_states) * (columns - first) // columns
    if len(rows) == batch and used >= WORTH_KEEPING * held:
        return Block(tuple((layer.keys, layer.values) for layer in cache.layers), held), 0
    layers = tuple(
        (layer.keys[:, :, first:].index_select(0, rows), layer.values[:, :, first:].index_select(0, rows))
        for layer in cache.layers
    )
    return Block(layers, used * len(rows) // batch), first


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two rows begin with alike.

    >>> common_length([4, 5, 6], [4, 5, 7, 8])
    2
    """
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))
