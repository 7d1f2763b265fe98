"""Attention of a packed row on a CPU in parts: prompts, completions on themselves, and completions on their prompt.

torch's kernel takes queries and their keys. For a group's completions that would be a row for each, which repeats the
prompt's keys, pads all to the longest and needs a mask. Here the tokens of all completions are the queries of one call
with the prompt's keys, without any of these, and each completion's own tokens the keys of another. The kernel also
returns the logarithm of each query's sum of exponentials, by which the two outputs are joined; and with the joined
output and sum, its backward pass gives the gradient of each part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rrr_core.training.blockwise import Span

FEWEST = 2**13
"""Scores of a part, on average, from which on it pays."""


@dataclass(frozen=True)
class Part:
    """Adjacent tokens of a packed row, and adjacent tokens that they attend to."""

    queries: slice
    keys: slice
    is_causal: bool
    """Queries and keys are the same tokens, each of which attends to those up to itself."""


def parts_of(spans: Sequence[Span]) -> tuple[Part, ...]:
    """Spans on themselves, then all completions of a prompt on it: they are adjacent."""
    found: list[Part] = []
    asking: dict[tuple[int, int], slice] = {}
    for span in spans:
        own, prompt = _slice(span.start, span.length), (span.prompt_start, span.prompt_length)
        found.append(Part(own, own, is_causal=True))
        if span.prompt_length:
            asking[prompt] = slice(asking[prompt].start if prompt in asking else own.start, own.stop)
    found += [Part(own, _slice(*prompt), is_causal=False) for prompt, own in asking.items()]
    return tuple(found)


def splitting_pays(query: torch.Tensor, value: torch.Tensor, parts: Sequence[Part]) -> bool:
    """Whether it is faster than one call with a mask for a query (1, H, N, d) and value (1, K, N, d) on a CPU.

    Each part costs some 50 µs whatever its size.
    """
    if query.shape[3] != value.shape[3]:  # torch's kernel has one size of heads
        return False
    scores = sum((part.queries.stop - part.queries.start) * (part.keys.stop - part.keys.start) for part in parts)
    return bool(scores * query.shape[1] >= FEWEST * len(parts))


def _slice(start: int, length: int) -> slice:
    return slice(start, start + length)


class SplitAttention(torch.autograd.Function):  # type: ignore[misc]  # torch is not typed
    """Attention's output (N, H, d) of query (1, H, N, d), key and value (1, K, N, d).

    Of the parts of the same queries, the causal ones come first.
    """

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, parts: Sequence[Part], scale: float
    ) -> torch.Tensor:
        heads, tokens = query.shape[1:3]
        wide = torch.promote_types(query.dtype, torch.float32)
        output = query.new_empty(1, tokens, heads, value.shape[3]).transpose(1, 2)
        sums = query.new_empty(1, tokens, heads, dtype=wide).transpose(1, 2)
        for part in parts:
            own, known = part.queries, part.keys
            found, found_sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                query[:, :, own], key[:, :, known], value[:, :, known], 0.0, part.is_causal, scale=scale
            )
            if part.is_causal:
                output[:, :, own], sums[:, :, own] = found, found_sums
            else:
                both = torch.logaddexp(found_sums, sums[:, :, own])
                share = torch.exp(found_sums - both)[..., None]
                output[:, :, own] = torch.lerp(output[:, :, own].to(wide), found.to(wide), share)
                sums[:, :, own] = both
        ctx.save_for_backward(query, key, value, output, sums)
        ctx.parts, ctx.scale = parts, scale
        return output[0].transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        *states, sums = ctx.saved_tensors
        # In bfloat16 torch's backward pass is slower than in float32, and less exact.
        gradient = gradient.transpose(0, 1)[None].to(sums.dtype)
        query, key, value, output = (each.to(sums.dtype) for each in states)
        of_states = [torch.zeros_like(each) for each in (query, key, value)]
        for part in ctx.parts:
            own, known = part.queries, part.keys
            found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                gradient[:, :, own],
                query[:, :, own],
                key[:, :, known],
                value[:, :, known],
                output[:, :, own],
                sums[:, :, own],
                0.0,
                part.is_causal,
                scale=ctx.scale,
            )
            for whole, of_part, tokens in zip(of_states, found, (own, known, known), strict=True):
                whole[:, :, tokens] += of_part
        return *(each.to(states[0].dtype) for each in of_states), None, None
