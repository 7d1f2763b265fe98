"""Attention of a packed row on a CPU, tile by tile, where torch's own kernel is slow.

torch's attention on a CPU leaves its products to MKL, which uses no AVX-512 on an AMD processor, and in bfloat16 it
converts as it goes. Here a tile is the queries of up to 256 rows with all the keys they may attend to: its products are
oneDNN's, and its scores live as long as the tile, so backward computes them again. Scores and their gradients are in
float32. In bfloat16 the products with probabilities are in bfloat16, as in torch's kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from rrr_core.generation.products import is_faster, product_of_form

ROWS = 512
"""Most rows of a tile, each a query of one head."""
KEYS = 64
"""The keys of a tile are a multiple of it: oneDNN compiles code for every form of a product."""
FEWEST = 2**16
"""Scores of a tile, on average, from which on it pays."""


@dataclass(frozen=True)
class Span:
    """Adjacent tokens of a packed row, which attend to a prompt's, if there is one, and to themselves up to each."""

    start: int
    length: int
    prompt_start: int = 0
    prompt_length: int = 0


@dataclass(frozen=True)
class Tile:
    """Queries of a span and the keys that they may attend to."""

    tokens: slice
    """Of the packed row."""
    form: int
    """Tokens that are computed, the last ones perhaps padding."""
    keys: int
    """Of the span's keys and its padding, so many from the first on."""
    unmasked: int
    """Keys before the first token's own."""


def pays(query: torch.Tensor, key: torch.Tensor, spans: Sequence[Span]) -> bool:
    """Whether it is faster than torch's kernel for a query (1, H, N, d) and key (1, K, N, d) on a CPU.

    Each tile costs some 150 µs whatever its size, so small ones are torch's.
    """
    dtype = _autocast_dtype(query)
    is_ours = dtype is torch.float32 or (dtype is torch.bfloat16 and torch.cpu._is_avx512_bf16_supported())
    if not is_ours or not is_faster():
        return False
    heads, key_heads = int(query.shape[1]), int(key.shape[1])
    step = _step(heads // key_heads)
    scores = sum(span.length * (span.prompt_length + span.length) for span in spans) * heads
    tiles = sum(span.length // step + 1 for span in spans) * key_heads
    return scores >= FEWEST * tiles


def as_autocast(states: torch.Tensor) -> torch.Tensor:
    """States in the dtype in which autocast computes attention on a CPU."""
    return states.to(_autocast_dtype(states))


def _autocast_dtype(states: torch.Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else states.dtype


def _step(repeats: int) -> int:
    """Tokens of a whole tile."""
    return max(KEYS // 4, 1 << (max(ROWS // repeats, 1).bit_length() - 1))


class Blockwise(torch.autograd.Function):  # type: ignore[misc]  # torch is not typed
    """Attention's output (N, H, d) of query (N, H, d), key and value (N, K, d), for spans that cover the row."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, spans: tuple[Span, ...], scale: float
    ) -> torch.Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.spans, ctx.scale = spans, scale
        with torch.autocast("cpu", enabled=False):
            work = _Work(query, key, value, scale)
            output = query.new_empty(len(key[0]), len(query), work.repeats, value.shape[2])  # (K, N, H/K, d)
            for span in spans:
                keys, values = work.of_span(work.keys, span), work.of_span(work.values, span).to(value.dtype)
                for head, tile in work.tiles(span):
                    shares = work.shares(head, tile, keys)
                    found = _product(shares.to(value.dtype), values[head, : tile.keys])
                    output[head, tile.tokens] = work.tokens(found, tile)
        return output.transpose(0, 1).flatten(1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        query, key, value = ctx.saved_tensors
        dtype = query.dtype
        with torch.autocast("cpu", enabled=False):
            work = _Work(query, key, value, ctx.scale)
            queries, of_output = work.folded(query), work.folded(gradient)
            of_query = torch.empty_like(queries)
            of_key, of_value = torch.zeros_like(work.keys), torch.zeros_like(work.values)
            for span in ctx.spans:
                keys, values = work.of_span(work.keys, span), work.of_span(work.values, span)
                # Transposed, (K, d, T): so their products are faster.
                of_keys, of_values = (
                    keys.new_zeros(len(keys), each.shape[2], keys.shape[1]) for each in (keys, values)
                )
                rounded = keys.to(dtype)
                for head, tile in work.tiles(span):
                    shares = work.shares(head, tile, keys)
                    wanted = work.rows(of_output[head], tile)
                    of_values[head, :, : tile.keys] += _product(wanted.t(), shares.to(dtype))
                    of_shares = _product(wanted.float(), values[head, : tile.keys].t())
                    of_scores = torch._softmax_backward_data(of_shares, shares, -1, torch.float32).to(dtype)
                    found = _product(of_scores, rounded[head, : tile.keys])
                    of_query[head, tile.tokens] = work.tokens(found, tile)
                    of_keys[head, :, : tile.keys] += _product(work.rows(queries[head], tile).t(), of_scores)
                work.add(of_key, of_keys, span)
                work.add(of_value, of_values, span)
        scaled = of_query.transpose(0, 1).flatten(1, 2) * ctx.scale
        back = [states.transpose(0, 1).to(key.dtype) for states in (of_key * ctx.scale, of_value)]
        return scaled, *back, None, None


class _Work:
    """The operands of scores, in float32 and key head by key head, and the tiles."""

    def __init__(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> None:
        self.heads, self.repeats = key.shape[1], query.shape[1] // key.shape[1]
        self._queries = self.folded(query).float() * scale  # (K, N, H/K, d)
        self.keys, self.values = (states.transpose(0, 1).float().contiguous() for states in (key, value))  # (K, N, d)
        self._step = _step(self.repeats)
        width = self._step + KEYS
        masked = torch.ones(self._step, width, dtype=torch.bool).triu(1)
        later = torch.zeros(self._step, width).masked_fill_(masked, -torch.inf)
        self._later = later.repeat_interleave(self.repeats, 0)  # added to scores of keys after a query's own

    def folded(self, states: torch.Tensor) -> torch.Tensor:
        """States (N, H, d), key head by key head: (K, N, H/K, d)."""
        return states.unflatten(1, (self.heads, self.repeats)).transpose(0, 1).contiguous()

    def of_span(self, states: torch.Tensor, span: Span) -> torch.Tensor:
        """Keys or values (K, T, d) that a span's tokens may attend to, with padding."""
        prompt = states.narrow(1, span.prompt_start, span.prompt_length)
        own = states.narrow(1, span.start, span.length)
        padding = states.new_zeros(len(states), -(span.prompt_length + span.length) % KEYS, states.shape[2])
        return torch.cat([prompt, own, padding], 1)

    @staticmethod
    def add(total: torch.Tensor, part: torch.Tensor, span: Span) -> None:
        """Add gradients (K, d, T) of what `of_span` gave."""
        rows = part.transpose(1, 2)
        total.narrow(1, span.prompt_start, span.prompt_length).add_(rows[:, : span.prompt_length])
        total.narrow(1, span.start, span.length).add_(rows[:, span.prompt_length :][:, : span.length])

    def tiles(self, span: Span) -> Iterator[tuple[int, Tile]]:
        """Each key head's tiles of a span."""
        for head in range(self.heads):
            done = 0
            for form in (self._step, self._step // 4):
                while span.length - done >= form or (form < self._step and done < span.length):
                    count = min(form, span.length - done)
                    before = span.prompt_length + done
                    keys = -(-(before + count) // KEYS) * KEYS
                    start = span.start + done
                    yield head, Tile(slice(start, start + count), form, keys, before)
                    done += count

    def rows(self, states: torch.Tensor, tile: Tile) -> torch.Tensor:
        """A tile's rows (form·H/K, d) of states (N, H/K, d)."""
        found = states[tile.tokens].flatten(0, 1)
        missing = tile.form * self.repeats - len(found)
        return functional.pad(found, (0, 0, 0, missing)) if missing else found

    def tokens(self, rows: torch.Tensor, tile: Tile) -> torch.Tensor:
        """A tile's rows (form·H/K, d) as tokens (count, H/K, d), without padding."""
        return rows.unflatten(0, (tile.form, self.repeats))[: tile.tokens.stop - tile.tokens.start]

    def shares(self, head: int, tile: Tile, keys: torch.Tensor) -> torch.Tensor:
        """What each row of a tile attends to, (form·H/K, keys), summing to one."""
        scores = _product(self.rows(self._queries[head], tile), keys[head, : tile.keys].t())
        scores[:, tile.unmasked :] += self._later[: len(scores), : tile.keys - tile.unmasked]
        return scores.softmax(-1)


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """`left @ right`, (N, O), of (N, I) and (I, O)."""
    return product_of_form(left, right.t()) if left.dtype is torch.float32 else left @ right
