"""A key-value cache that grows in place.

The library's own copies the whole cache at every token, which for a small model costs as much as the model does. Layers
with a sliding window hold little and stay the library's. Shape letters: `rrr_core.training`.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

SPARE_COLUMNS = 16
"""Fewest columns to allocate beyond those in use, or a quarter of these if more: one copy per that many tokens."""

CACHE_ARGUMENTS = ("cache", "past_key_values")
"""What a model's `forward` calls its cache: since transformers 5.24; before that, or in a model's own code."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed
    """One layer's keys and values, each (B, K, T, d): the first T columns of a buffer with spare ones."""

    def __init__(self) -> None:
        super().__init__()
        self.is_initialized = False
        self.key_buffer: torch.Tensor | None = None
        self.value_buffer: torch.Tensor | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append columns (B, K, Q, d); gives the keys and values of all columns, as views of the buffers."""
        start: int = self.get_seq_length()
        self.is_initialized = True
        self.keys, self.key_buffer = _appended(self.key_buffer, start, key_states)
        self.values, self.value_buffer = _appended(self.value_buffer, start, value_states)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows, in this order; a row may occur several times."""
        if self.get_seq_length() > 0:
            self.keys, self.key_buffer = _selected(self.keys, indices)
            self.values, self.value_buffer = _selected(self.values, indices)

    def close_up(self, holes: torch.Tensor, movers: torch.Tensor, rows: int) -> None:
        """Move the rows `movers` into the places `holes`, and keep the first `rows` rows.

        In place: the cost grows with the rows that move, not with those that stay.
        """
        if self.key_buffer is None or self.value_buffer is None:
            return
        length = self.get_seq_length()
        for buffer in (self.key_buffer, self.value_buffer):
            buffer[holes, :, :length] = buffer[movers, :, :length]
        self.fill(self.key_buffer[:rows], self.value_buffer[:rows], length)

    def fill(self, keys: torch.Tensor, values: torch.Tensor, length: int) -> None:
        """Use these buffers, with their first `length` columns written, as the layer's own."""
        self.is_initialized = True
        self.key_buffer, self.value_buffer = keys, values
        self.keys, self.values = keys[:, :, :length], values[:, :, :length]


def growing_cache(config: Any) -> DynamicCache:
    """An empty cache for a model of this configuration."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def drop_rows(cache: DynamicCache, done: torch.Tensor) -> torch.Tensor:
    """Drop the rows that are `done` (B,) from the cache; gives the old row in each place that is left."""
    rows = int((~done).sum())
    holes, movers = done[:rows].nonzero()[:, 0], (~done[rows:]).nonzero()[:, 0] + rows
    order = torch.arange(rows, device=done.device)
    order[holes] = movers
    for layer in cache.layers:
        if isinstance(layer, GrowingLayer):
            layer.close_up(holes, movers, rows)
        else:
            layer.batch_select_indices(order)
    return order


def without_adapters(network: Any) -> Any:
    """The network itself, or the one that LoRA adapters are wrapped around."""
    return network.get_base_model() if hasattr(network, "get_base_model") else network


def arguments_of(network: Any) -> frozenset[str]:
    """The names of the arguments of a network's `forward`."""
    architecture: Any = type(without_adapters(network))
    return _arguments_of(architecture)


def cache_argument(network: Any) -> str | None:
    """The name of a network's cache argument; None if it takes none."""
    return next((name for name in CACHE_ARGUMENTS if name in arguments_of(network)), None)


@lru_cache(maxsize=8)
def _arguments_of(architecture: Any) -> frozenset[str]:
    return frozenset(inspect.signature(architecture.forward).parameters)


def is_plain(config: Any) -> bool:
    """Whether each layer of a model with this configuration keeps the keys and values of every token."""
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)


def is_served(config: Any) -> bool:
    """Whether each layer caches keys and values, with or without a sliding window."""
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in DynamicCache(config=config).layers)


def buffer_for(states: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """An unwritten buffer for so many rows and columns of such states, with spare columns."""
    return states.new_empty(rows, states.shape[1], columns + max(SPARE_COLUMNS, columns // 4), states.shape[-1])


def _appended(buffer: torch.Tensor | None, start: int, new: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `start` columns of `buffer` followed by the `new` ones, and the buffer that holds them."""
    length = start + new.shape[-2]
    if buffer is None or length > buffer.shape[-2]:
        larger = buffer_for(new, len(new), length)
        if buffer is not None:
            larger[:, :, :start] = buffer[:, :, :start]
        buffer = larger
    buffer[:, :, start:length] = new
    return buffer[:, :, :length], buffer


def _selected(states: torch.Tensor, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    buffer = buffer_for(states, len(indices), states.shape[-2])
    view = buffer[:, :, : states.shape[-2]]
    torch.index_select(states, 0, indices, out=view)
    return view, buffer
