"""Attention for one token a text on a CPU, in bfloat16.

torch 2.13's kernel for CPUs takes up to ten times as long for a query that is alone as for two or more that read the
same keys (`findings/torch-attention-one-query.sh`). So the queries of heads that share their keys go together, and one
whose keys are its own goes twice. Each is computed as before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

KERNEL = "sdpa"
"""transformers' name for torch's kernel."""
OTHERWISE = ("position_bias", "softcap", "output_attentions")
"""What transformers' function takes beside, and this one does not."""


@functools.cache
def use_joined_queries() -> None:
    """Have transformers' attention by torch's kernel compute them so, in this process, where no gradient is needed."""
    AttentionInterface.register(KERNEL, joined(ALL_ATTENTION_FUNCTIONS[KERNEL]))


def joined(attention: Callable[..., Any]) -> Callable[..., Any]:
    """An attention function of transformers' that computes them so, and leaves all else to the given one."""

    @functools.wraps(attention)  # with its marks, such as training's
    def attend(
        module: Any,
        query: torch.Tensor,  # (B, H, Q, d)
        key: torch.Tensor,  # (B, K, N, d)
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        *arguments: Any,
        **keywords: Any,
    ) -> Any:
        if arguments or not _is_slow(query, key, value, attention_mask) or any(map(keywords.get, OTHERWISE)):
            return attention(module, query, key, value, attention_mask, *arguments, **keywords)
        return together(query, key, value, attention_mask, keywords.get("scaling")), None

    return attend


def together(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scale: float | None
) -> torch.Tensor:
    """Attention's output (B, 1, H, d) of query (B, H, 1, d), key and value (B, K, N, d), mask (B, 1, 1, N) or None."""
    batch, heads, _, width = query.shape
    sharing = heads // key.shape[1]
    rows = query.reshape(batch, key.shape[1], sharing, width)
    if sharing == 1:
        rows = rows.repeat(1, 1, 2, 1)
    found = scaled_dot_product_attention(rows, key, value, attn_mask=mask, scale=scale)[:, :, :sharing]
    return found.reshape(batch, 1, heads, width)


def _is_slow(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None) -> bool:
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype
    is_one = query.device.type == "cpu" and query.shape[2] == 1 and not torch.is_grad_enabled()
    if dtype is not torch.bfloat16 or not is_one:
        return False
    is_for_all_heads = mask is None or (mask.dim() == 4 and mask.shape[1] == 1)
    return bool(is_for_all_heads and query.shape[3] == key.shape[3] == value.shape[3])
