"""Attention of one token a row on a CPU, where torch's own kernel is made for many.

`scaled_dot_product_attention` deals out its work by blocks of queries, and while a text is written there is one query:
for 512 rows of 100 tokens it takes more than twice as long as two matrix products and a softmax.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from rrr_core.generation.kv_cache import without_adapters

NAME = "rrr_one_query"
KNOWN = frozenset({"dropout", "scaling", "sliding_window", "is_causal", "position_ids", "use_cache"})
"""Arguments that change nothing where one query attends to all that its mask lets it, dropout apart."""


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **arguments: Any,
) -> tuple[torch.Tensor, None]:
    """Output (B, Q, H, d) of query (B, H, Q, d), key and value (B, K, T, d) and a boolean mask (B, 1, Q, T) or None."""
    unknown = {name for name, given in arguments.items() if given is not None} - KNOWN
    if query.shape[2] != 1 or unknown or arguments.get("dropout"):
        sdpa = ALL_ATTENTION_FUNCTIONS["sdpa"]
        output: tuple[torch.Tensor, None] = sdpa(
            module, query, key, value, attention_mask, scaling=scaling, **arguments
        )
        return output
    rows, heads, _, width = query.shape
    groups = key.shape[1]
    # The query heads of one key head side by side, so that keys are not copied for each of them.
    scaled = (query * (width**-0.5 if scaling is None else scaling)).reshape(rows, groups, heads // groups, width)
    scores = scaled @ key.transpose(2, 3)  # (B, K, H / K, T)
    if attention_mask is not None:
        scores.masked_fill_(~attention_mask, -torch.inf)
    return (scores.softmax(-1) @ value).reshape(rows, 1, heads, value.shape[3]), None


@contextmanager
def one_query_attention(network: Any) -> Iterator[None]:
    """The network with this attention in place of `sdpa`, where it runs on a CPU; afterwards it is as it was."""
    base = without_adapters(network)
    if base.device.type != "cpu" or base.config._attn_implementation != "sdpa":
        yield
        return
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    base.config._attn_implementation = NAME
    try:
        yield
    finally:
        base.config._attn_implementation = "sdpa"
