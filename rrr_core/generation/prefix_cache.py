"""A prefix cache: what an engine has prefilled and decoded with the same weights, for prompts that share a prefix."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

Ids = tuple[int, ...]

WORTH_KEEPING = 0.6
"""Share of a cache's storage that must be in use for it to be kept as is; otherwise the part in use is copied."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows that left a batch together."""

    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    """Each layer's keys and values, each (B, K, T, d)."""
    size: int
    """Bytes that they hold."""


@dataclass(frozen=True, slots=True)
class Found:
    """The columns of a block's row that hold a prompt's prefix."""

    block: Block
    row: int
    start: int
    length: int


class PrefixCache:
    """The ids of rows with their keys and values, at most `limit` bytes; the oldest are dropped first."""

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
        """Keep `rows` of a growing cache of plain layers; `ids[r]` are in its columns from `starts[r]`.

        Ids beyond the cache's last column, of tokens sampled but never read, are dropped. If all rows are kept, so may
        be the cache itself: it must not be written to again.
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
        """The kept row with the longest prefix of the prompt, up to its last token; None if there is none."""
        if self._sorted is None:
            self._sorted = sorted(self._found)
        place = bisect_left(self._sorted, prompt)
        # In sorted order, the row with the longest common prefix is right before or after the prompt's place.
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
    """The rows' block, and the cache's column that is its first: `first`, or 0 if nothing is copied."""
    all_states = [states for layer in cache.layers for states in (layer.keys, layer.values)]
    # The whole storage, which may have had more rows and may have spare columns.
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
    """The length of the common prefix of two rows of ids.

    >>> common_length([4, 5, 6], [4, 5, 7, 8])
    2
    """
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))
