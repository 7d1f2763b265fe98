"""Prefill: each distinct prompt is read into a cache once, and only the part that the prefix cache does not hold.

Rows are padded on the left, so every prompt ends in the last column. To read the last Q columns of a batch, each row
needs its keys and values up to there: a row with more in the prefix cache reads some of it again, which changes
nothing. So prompts with about as much left to read are read together, on a CPU a few at a time, and each group is read
into its place in the batch's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rrr_core.generation.kv_cache import buffer_for, cache_argument, growing_cache, is_plain
from rrr_core.generation.prefix_cache import Block, Found, Ids, PrefixCache, common_length

Buffers = tuple[torch.Tensor, torch.Tensor]
"""A layer's keys and values (B, K, T, d), with spare columns."""

LEFT_APART = 32
"""Prompts are read together if what is left to read differs by at most this many tokens, or by a factor of two.

A pass over a batch has a fixed cost, about that of reading some tens of tokens per row."""

CPU_TOKENS = 2048
"""Tokens that a CPU reads at once. Its caches do not hold the activations of more: a core takes 1.22 times as long for
17,000 tokens of a model of four million weights at once as for 2,000 at a time."""

WORTH_A_PASS = 512
"""Tokens saved that make a pass over a single row worthwhile."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Prompts after prefill: their cache, the logits after each, and the mask of their columns."""

    rows: list[int]
    """The prompt of each row of the cache, by index."""
    cache: Any
    logits: torch.Tensor  # (B, V)
    mask: torch.Tensor  # (B, T), 1 where a column is the row's own
    tokens: int
    """Tokens that were read for them, without padding."""


def read(network: Any, prompts: Sequence[Sequence[int]], pad_id: int, prefix_cache: PrefixCache | None) -> Reading:
    """Read the prompts, padded on the left to the longest; equal ones are read once."""
    indices: dict[Ids, list[int]] = {}
    for index, prompt in enumerate(prompts):
        indices.setdefault(tuple(prompt), []).append(index)
    plain = is_plain(network.config)
    known = {prompt: prefix_cache.longest(prompt) if prefix_cache else None for prompt in indices}
    tokens = 0
    if plain and not any(known.values()):
        known = _read_beginning(network, list(indices), pad_id)
        tokens = max((found.length for found in known.values() if found), default=0)
    at_once = CPU_TOKENS if network.device.type == "cpu" else None
    groups = list(_groups(known, at_once)) if plain else [list(indices)]
    order = [prompt for group in groups for prompt in group]
    cache, logits, read_tokens = _read_groups(network, groups, known, pad_id)
    mask = _mask_of(order, network.device)
    if len(order) < len(prompts):
        places = [place for place, prompt in enumerate(order) for _ in indices[prompt]]
        index = torch.tensor(places, device=network.device)
        cache.batch_select_indices(index)
        logits, mask = logits[index], mask[index]
    rows = [index for prompt in order for index in indices[prompt]]
    return Reading(rows, cache, logits, mask, tokens + read_tokens)


def forward(
    network: Any, cache: Any, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:  # (B, Q), (B, T), (B, Q) -> (B, V)
    """The logits after the last of the ids, which are appended to the cache."""
    name = cache_argument(network)
    assert name is not None
    output = network(
        input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1, **{name: cache}
    )
    logits: torch.Tensor = output.logits[:, -1].float()
    return logits


def _read_beginning(network: Any, distinct: Sequence[Ids], pad_id: int) -> dict[Ids, Found | None]:
    """The common prefix of all prompts, such as a system message, read once if that saves enough; else nothing."""
    length = min(common_length(min(distinct), max(distinct)), min(map(len, distinct)) - 1)
    if length * (len(distinct) - 1) < WORTH_A_PASS:
        return dict.fromkeys(distinct)
    beginning = distinct[0][:length]
    cache, _, _ = _read_group(network, [beginning], {beginning: None}, pad_id, None)
    block = Block(tuple((layer.keys, layer.values) for layer in cache.layers), size=0)
    return dict.fromkeys(distinct, Found(block, 0, 0, length))


def _groups(known: dict[Ids, Found | None], at_once: int | None) -> Iterator[list[Ids]]:
    """The prompts in groups to read together, each of at most `at_once` tokens or one prompt."""
    group: list[Ids] = []
    least = 0
    for prompt in sorted(known, key=lambda prompt: _left(prompt, known[prompt])):
        left = _left(prompt, known[prompt])
        too_many = at_once is not None and (len(group) + 1) * left > at_once
        # If no prompt has a cached prefix, reading them together is reading one batch.
        too_far = left > max(least + LEFT_APART, 2 * least) and any(known.values())
        if group and (too_many or too_far):
            yield group
            group = []
        if not group:
            least = left
        group.append(prompt)
    yield group


def _left(prompt: Ids, found: Found | None) -> int:
    return len(prompt) - (found.length if found else 0)


def _read_groups(
    network: Any, groups: Sequence[Sequence[Ids]], known: dict[Ids, Found | None], pad_id: int
) -> tuple[Any, torch.Tensor, int]:
    """The cache and logits of all their prompts, in order, and the number of tokens read."""
    if len(groups) == 1:
        return _read_group(network, groups[0], known, pad_id, None)
    rows, width = sum(map(len, groups)), max(len(prompt) for group in groups for prompt in group)
    room: list[Buffers] | None = None
    logits, tokens, start = [], 0, 0
    for group in groups:
        stop, own = start + len(group), max(map(len, group))
        if room is None:
            # The first group's cache shows the shapes of this model's.
            cache, after, count = _read_group(network, group, known, pad_id, None)
            room = [(buffer_for(one.keys, rows, width), buffer_for(one.values, rows, width)) for one in cache.layers]
            for (keys, values), layer in zip(room, cache.layers, strict=True):
                keys[start:stop, :, width - own : width] = layer.keys
                values[start:stop, :, width - own : width] = layer.values
        else:
            places = (slice(start, stop), slice(None), slice(width - own, None))
            parts = [(keys[places], values[places]) for keys, values in room]
            _, after, count = _read_group(network, group, known, pad_id, parts)
        for buffers in room:
            for buffer in buffers:
                buffer[start:stop, :, : width - own] = 0
        logits.append(after)
        tokens, start = tokens + count, stop
    cache = growing_cache(network.config)
    for layer, buffers in zip(cache.layers, room or (), strict=True):
        layer.fill(*buffers, width)
    return cache, torch.cat(logits), tokens


def _read_group(
    network: Any,
    prompts: Sequence[Ids],
    known: dict[Ids, Found | None],
    pad_id: int,
    buffers: Sequence[Buffers] | None,
) -> tuple[Any, torch.Tensor, int]:
    """Their cache and logits, and the number of tokens read; the cache is in `buffers` if given."""
    mask = _mask_of(prompts, network.device)
    width = mask.shape[1]
    left = max(_left(prompt, known[prompt]) for prompt in prompts)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = growing_cache(network.config)
    if buffers is None and left < width:
        like = next(found.block for prompt in prompts if (found := known[prompt])).layers
        buffers = [(buffer_for(k, len(prompts), width), buffer_for(v, len(prompts), width)) for k, v in like]
    for layer, (keys, values) in zip(cache.layers, buffers or (), strict=buffers is not None):
        layer.fill(keys, values, width - left)
    if left < width:
        _recall(cache, [(width - len(prompt), known[prompt]) for prompt in prompts], width - left)
    own = mask[:, -left:].bool()
    ids = torch.full_like(mask[:, -left:], pad_id)
    ids[own] = torch.tensor([token for prompt in prompts for token in prompt[-left:]], device=network.device)
    logits = forward(network, cache, ids, mask, positions[:, -left:])
    return cache, logits, sum(min(left, len(prompt)) for prompt in prompts)


def _mask_of(prompts: Sequence[Ids], device: torch.device) -> torch.Tensor:
    """The mask (B, P) of the prompts, padded on the left to the longest: 1 where a column is a prompt's own."""
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    width = max(map(len, prompts))
    return (torch.arange(width, device=device) >= width - lengths[:, None]).long()


def _recall(cache: Any, rows: Sequence[tuple[int, Found | None]], columns: int) -> None:
    """Fill the cache's first `columns` columns: row r's own begin at `rows[r][0]`, a copy of what was found for it."""
    # Rows of a block that shift by the same number of columns are copied at once. What is before a row's own columns
    # is masked, and only has to be finite.
    moves: dict[tuple[Block, int], list[tuple[int, int]]] = {}
    empty = 0
    for row, (start, found) in enumerate(rows):
        if found is None or start >= columns:
            empty = columns
        else:
            moves.setdefault((found.block, found.start - start), []).append((row, found.row))
    copies = []
    for (block, shift), pairs in moves.items():
        first = max(0, -shift)
        empty = max(empty, first)
        into, source = torch.tensor(pairs, device=cache.layers[0].keys.device).unbind(1)
        together = slice(pairs[0][0], pairs[-1][0] + 1) if pairs[-1][0] - pairs[0][0] + 1 == len(pairs) else None
        copies.append((block, slice(first, columns), slice(first + shift, columns + shift), into, source, together))
    for depth, layer in enumerate(cache.layers):
        for kind, states in enumerate((layer.keys, layer.values)):
            states[:, :, :empty] = 0
            for block, target, origin, into, source, together in copies:
                known = block.layers[depth][kind][:, :, origin]
                if together is None:
                    states[:, :, target].index_copy_(0, into, known.index_select(0, source))
                else:  # adjacent rows are written without an intermediate copy
                    torch.index_select(known, 0, source, out=states[together, :, target])
