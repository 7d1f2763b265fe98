"""Reading prompts into a cache: each distinct one once, and of each only what is not remembered.

Rows are padded on the left, so that every prompt ends in the last column. To read the last Q columns of a batch, each
row needs its keys and values up to there: a row of which more is known reads some of it again, which changes nothing.
So prompts of which about as much is left to read are read together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.functional import pad

from rrr_core.generation.cache import buffer_for, growing_cache, is_plain
from rrr_core.generation.memory import Block, Found, Ids, Memory, common_length

LEFT_APART = 32
"""Tokens left to read by which prompts may differ and are still read together, or else a factor of two.

A pass over a batch has a cost of its own, of the order of reading some tens of tokens a row."""

WORTH_A_PASS = 512
"""Tokens to save for which a pass over one row alone is worth it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows that are read: their cache, the logits after each, and the mask of their columns."""

    cache: Any
    logits: torch.Tensor  # (B, V)
    mask: torch.Tensor  # (B, W), 1 where a column is the row's own
    tokens: int
    """Tokens that were read for them, padding left out."""


def read(network: Any, prompts: Sequence[Sequence[int]], pad_id: int, memory: Memory | None) -> Reading:
    """Read the prompts, padded on the left to the longest; equal ones are read once."""
    rows = [tuple(prompt) for prompt in prompts]
    distinct = list(dict.fromkeys(rows))
    known = {prompt: memory.longest(prompt) if memory else None for prompt in distinct}
    tokens = 0
    if not any(known.values()) and is_plain(network.config):
        known = _read_beginning(network, distinct, pad_id)
        tokens = max((found.length for found in known.values() if found), default=0)
    groups = list(_groups(distinct, known))
    readings = [_read_group(network, group, known, pad_id) for group in groups]
    tokens += sum(reading.tokens for reading in readings)
    order = [prompt for group in groups for prompt in group]
    if len(groups) == 1 and order == rows:
        return replace(readings[0], tokens=tokens)
    places = {prompt: place for place, prompt in enumerate(order)}
    index = torch.tensor([places[prompt] for prompt in rows], device=network.device)
    if len(groups) == 1:
        readings[0].cache.batch_select_indices(index)
        return Reading(readings[0].cache, readings[0].logits[index], readings[0].mask[index], tokens)
    return _joined(network, readings, index, tokens)


def forward(
    network: Any, cache: Any, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:  # (B, Q), (B, T), (B, Q) -> (B, V)
    """The logits after the last of the ids, which are appended to the cache."""
    output = network(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    logits: torch.Tensor = output.logits[:, -1].float()
    return logits


def _read_beginning(network: Any, distinct: Sequence[Ids], pad_id: int) -> dict[Ids, Found | None]:
    """What all prompts begin with, such as a system message, read once where that saves enough; else nothing."""
    length = min(common_length(min(distinct), max(distinct)), min(map(len, distinct)) - 1)
    if length * (len(distinct) - 1) < WORTH_A_PASS:
        return dict.fromkeys(distinct)
    beginning = distinct[0][:length]
    cache = _read_group(network, [beginning], {beginning: None}, pad_id).cache
    block = Block(tuple((layer.keys, layer.values) for layer in cache.layers), size=0)
    return dict.fromkeys(distinct, Found(block, 0, 0, length))


def _groups(distinct: Sequence[Ids], known: dict[Ids, Found | None]) -> Iterator[list[Ids]]:
    """The prompts in groups that are read together. Where nothing is known they are one group."""
    if not any(known.values()):
        yield [*distinct]
        return
    group: list[Ids] = []
    least = 0
    for prompt in sorted(distinct, key=lambda prompt: _left(prompt, known[prompt])):
        left = _left(prompt, known[prompt])
        if group and left > max(least + LEFT_APART, 2 * least):
            yield group
            group = []
        if not group:
            least = left
        group.append(prompt)
    yield group


def _left(prompt: Ids, found: Found | None) -> int:
    return len(prompt) - (found.length if found else 0)


def _read_group(network: Any, prompts: Sequence[Ids], known: dict[Ids, Found | None], pad_id: int) -> Reading:
    device = network.device
    width = max(map(len, prompts))
    left = max(_left(prompt, known[prompt]) for prompt in prompts)
    ids = torch.tensor([[pad_id] * (width - len(prompt)) + [*prompt] for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = growing_cache(network.config)
    if left < width:
        like = next(found.block for prompt in prompts if (found := known[prompt]))
        _recall(cache, [(width - len(prompt), known[prompt]) for prompt in prompts], width - left, like)
    logits = forward(network, cache, ids[:, -left:], mask, positions[:, -left:])
    return Reading(cache, logits, mask, sum(min(left, len(prompt)) for prompt in prompts))


def _recall(cache: Any, rows: Sequence[tuple[int, Found | None]], columns: int, like: Block) -> None:
    """Fill the cache's first `columns` columns: row r's own begin at `rows[r][0]`, and are in what was found for it."""
    # Rows of a block that move by as many columns are copied at once. What stands before a row's own columns is
    # masked: it only has to be numbers.
    moves: dict[tuple[Block, int], list[tuple[int, int]]] = {}
    empty = 0
    for row, (start, found) in enumerate(rows):
        if found is None or start >= columns:
            empty = columns
        else:
            moves.setdefault((found.block, found.start - start), []).append((row, found.row))
    device = like.layers[0][0].device
    copies = []
    for (block, shift), pairs in moves.items():
        first = max(0, -shift)
        empty = max(empty, first)
        into, source = torch.tensor(pairs, device=device).unbind(1)
        copies.append((block, slice(first, columns), slice(first + shift, columns + shift), into, source))
    for depth, layer in enumerate(cache.layers):
        buffers = [buffer_for(states, len(rows), columns) for states in like.layers[depth]]
        for kind, buffer in enumerate(buffers):
            buffer[:, :, :empty] = 0
            for block, target, origin, into, source in copies:
                known = block.layers[depth][kind][:, :, origin].index_select(0, source)
                buffer[:, :, target].index_copy_(0, into, known)
        layer.fill(buffers[0], buffers[1], columns)


def _joined(network: Any, readings: Sequence[Reading], index: torch.Tensor, tokens: int) -> Reading:
    """Groups of rows as one batch, and of that the rows of `index`, for which `tokens` tokens were read."""
    width = max(reading.mask.shape[1] for reading in readings)
    cache = growing_cache(network.config)
    for depth, layer in enumerate(cache.layers):
        parts = [reading.cache.layers[depth] for reading in readings]
        layer.fill(
            torch.cat([_widened(part.keys, width) for part in parts]),
            torch.cat([_widened(part.values, width) for part in parts]),
            width,
        )
    cache.batch_select_indices(index)
    mask = torch.cat([pad(reading.mask, (width - reading.mask.shape[1], 0)) for reading in readings])
    logits = torch.cat([reading.logits for reading in readings])[index]
    return Reading(cache, logits, mask[index], tokens)


def _widened(states: torch.Tensor, width: int) -> torch.Tensor:
    """Keys or values (R, heads, T, D) with zeros before their columns, up to `width`."""
    return pad(states, (0, 0, width - states.shape[2], 0))
