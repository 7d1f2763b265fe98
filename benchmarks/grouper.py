"""PrefixGrouper 0.0.1.post1 (arXiv 2506.05433) in stock TRL's step: the peer that computes a group's prompt once, too.

    pip install prefix-grouper==0.0.1.post1

A CPU has only torch's own attention, and PrefixGrouper leaves the kernel to its user: `attend` is the adapter that its
README asks for, at its best. Prompts without padding take the kernel's causal path, and masks are made once a pass. The
head is TRL's, on the completions alone. Products are torch's own.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

import torch
from prefix_grouper import PrefixGrouper
from torch.nn import functional
from transformers import AttentionInterface
from trl import GRPOTrainer

from rrr_core.training.packing import IGNORED

ATTENTION = "prefix_grouper_sdpa"


def version() -> str:
    return metadata.version("prefix-grouper")


def attend(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _attention_mask: torch.Tensor | None,
    *,
    prefix_grouper: PrefixGrouper,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it, for a grouped batch."""

    def compute(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        mask = _mask(prefix_grouper, query.shape[2], real, query.dtype)
        output = functional.scaled_dot_product_attention(
            query, key, value, mask, dropout, is_causal=mask is None, scale=scaling, enable_gqa=True
        )
        return output.transpose(1, 2)

    return prefix_grouper.forward(compute, query, key, value), None


def _mask(grouper: Any, queries: int, real: torch.Tensor, dtype: torch.dtype) -> torch.Tensor | None:
    """What queries do not attend to, (B, 1, Q, T) to add, kept for the other layers; None for a plain causal mask."""
    keys = real.shape[1]
    if keys == queries and bool(real.all()):
        return None
    known = grouper.__dict__.setdefault("masks", {})
    if (queries, keys) not in known:
        allowed = torch.ones(queries, keys, dtype=torch.bool, device=real.device).tril(keys - queries) & real[:, None]
        known[queries, keys] = torch.zeros(allowed.shape, dtype=dtype).masked_fill(~allowed, -torch.inf)[:, None]
    mask: torch.Tensor = known[queries, keys]
    return mask


class GrouperTrainer(GRPOTrainer):
    """TRL's trainer on grouped batches."""

    def __init__(self, *, model: Any, **arguments: Any) -> None:
        super().__init__(model=model, **arguments)
        for network in (self.model, self.ref_model):
            if network is not None:
                network = self.accelerator.unwrap_model(network)
                network.config._attn_implementation = ATTENTION
                network.base_model.register_forward_hook(_keep_completions, with_kwargs=True)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        size = batch_size or len(input_ids)
        parts = [
            self._grouped_pass(model, input_ids[rows], attention_mask[rows].bool(), logits_to_keep)
            for rows in (slice(start, start + size) for start in range(0, len(input_ids), size))
        ]
        log_probs, entropies = (torch.cat(values) for values in zip(*parts, strict=True))
        return log_probs, entropies if compute_entropy else None, None

    def _grouped_pass(
        self, model: Any, ids: torch.Tensor, mask: torch.Tensor, width: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and entropies (B, R) of completions of at most R `width` tokens."""
        edge = ids.shape[1] - width
        owners = torch.unique(ids[:, :edge], dim=0, return_inverse=True)[1]  # (B,), each completion's prompt
        order, sizes = owners.argsort(stable=True), owners.bincount()
        firsts = order[sizes.cumsum(0) - sizes]
        prompts, prompt_mask = ids[firsts, :edge], mask[firsts, :edge]
        completions, completion_mask = ids[order, edge:], mask[order, edge:]
        grouper = PrefixGrouper.from_ungrouped_masks(prompt_mask, completion_mask, sizes.tolist(), device=ids.device)
        longest = grouper.suffix_x_shape[1]
        labels = completions.masked_fill(~completion_mask, IGNORED)[:, :longest]
        with self.accelerator.autocast():
            output = model(
                input_ids=grouper.concat_input(prompts, prompt_mask, completions, completion_mask),
                position_ids=_positions(grouper),
                attention_mask=torch.zeros(1, 1, 1, 1, device=ids.device),  # counts as prepared: none is built
                prefix_grouper=grouper,
                shift_labels=labels,
                fused_lm_head=True,
            )
        found = output.log_probs.new_zeros(2, len(ids), width)
        found[0, order, :longest] = output.log_probs
        if output.entropy is not None:  # the reference model's head computes none
            found[1, order, :longest] = output.entropy
        return found[0], found[1]


def _keep_completions(_module: Any, _arguments: Any, keywords: dict[str, Any], output: Any) -> Any:
    """A hook on the backbone: each completion's hidden states (B, R, I), from its prompt's last token on."""
    completions = keywords["prefix_grouper"].split_output(output.last_hidden_state, include_prefix_last=1)[2]
    output.last_hidden_state = completions[:, :-1]
    return output


def _positions(grouper: PrefixGrouper) -> torch.Tensor:
    """Positions (D, N) of a grouped batch: each completion's follow its prompt's."""
    rows = [
        torch.cat(
            [
                torch.arange(group.prefix_len),
                *(torch.arange(group.prefix_len, group.prefix_len + length) for length in group.suffix_lens),
            ]
        )
        for group in grouper.group_info
    ]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(grouper.padding_mask.device)


AttentionInterface.register(ATTENTION, attend)
