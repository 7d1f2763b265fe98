"""How a trainer computes log-probabilities: each prompt once per group where that is right, dropped rows not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from rrr_core.profiling.profile import Profile
from rrr_core.training.packing import Packing, inputs_of
from rrr_core.training.passes import Scores, with_positions
from rrr_core.training.profiling import scoring
from rrr_core.training.sharded import ShardedTrainer


class ScoringTrainer(ShardedTrainer):
    """TRL's trainer with our forward passes in place of its own."""

    profile: Profile
    shares_prompts: bool
    """Whether policy and reference model take packed passes."""
    _takes_positions: bool
    """Whether the model takes position ids."""
    _kept: list[bool]
    """For each row of the generation batch, whether it is computed: zero-variance groups may be dropped."""

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **keywords: Any,
    ) -> Scores:
        """Log-probabilities and entropies (B, R) of the completions, R `logits_to_keep`; zero if padding or dropped."""
        kept = self._computed(attention_mask[:, -logits_to_keep:])
        for _ in range(self._passes_left(kept, batch_size)):
            self._smallest_pass(model, input_ids, attention_mask, logits_to_keep, keywords)
        if not kept.any():
            nothing = self._smallest_pass(model, input_ids, attention_mask, logits_to_keep, keywords)
            zeros = nothing.sum() * 0 + nothing.new_zeros(len(input_ids), logits_to_keep)
            return zeros, zeros.detach() if compute_entropy else None, None
        if kept.all():
            return self._log_probabilities(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, keywords
            )
        logps, entropies, auxiliary = self._log_probabilities(
            model, input_ids[kept], attention_mask[kept], logits_to_keep, batch_size, compute_entropy, keywords
        )
        return _spread(logps, kept), None if entropies is None else _spread(entropies, kept), auxiliary

    def _passes_left(self, kept: torch.Tensor, batch_size: int | None) -> int:
        """Passes to make for nothing, so that each process makes as many as it would have with all its rows.

        A pass through sharded weights is a collective, and processes drop unequal numbers of rows.
        """
        if not self.shards_weights or batch_size is None:
            return 0
        return -(-len(kept) // batch_size) - max(1, -(-int(kept.sum()) // batch_size))

    def _smallest_pass(
        self, model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, width: int, keywords: Mapping[str, Any]
    ) -> torch.Tensor:
        """The log-probabilities of the smallest possible row, since all processes call their model equally often."""
        start, end = max(input_ids.shape[1] - width - 2, 0), input_ids.shape[1] - width + 1
        cut = slice(0, 1), slice(start, end)
        return self._log_probabilities(model, input_ids[cut], attention_mask[cut], 1, None, False, keywords)[0]

    def _computed(self, completion_mask: torch.Tensor) -> torch.Tensor:
        """Which rows (B,) are computed, given the mask (B, R): those whose completion is not masked out.

        TRL also scores the whole generation batch before it asks for rewards, with the reference model for example;
        the zero-variance groups are known by then, and dropped there too.
        """
        kept = completion_mask.any(1)
        if not torch.is_grad_enabled() and not self.use_vllm and len(kept) == len(self._kept):
            kept &= torch.tensor(self._kept, device=kept.device)
        return kept

    def _log_probabilities(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        width: int,
        batch_size: int | None,
        compute_entropy: bool,
        keywords: Mapping[str, Any],
    ) -> Scores:
        with scoring(self.profile):
            if not self.shares_prompts:
                return self._padded_pass(model, input_ids, attention_mask, width, batch_size, compute_entropy, keywords)
            size = batch_size or len(input_ids)
            packings = [
                Packing(input_ids[start : start + size], attention_mask[start : start + size], width)
                for start in range(0, len(input_ids), size)
            ]
            outputs = [self._packed_pass(model, packing) for packing in packings]
        pairs = list(zip(packings, outputs, strict=True))
        logps = torch.cat([packing.padded(output.log_probs) for packing, output in pairs])
        if not compute_entropy:
            return logps, None, None
        return logps, torch.cat([packing.padded(output.entropy) for packing, output in pairs]), None

    def _padded_pass(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        width: int,
        batch_size: int | None,
        compute_entropy: bool,
        keywords: Mapping[str, Any],
    ) -> Scores:
        """TRL's pass, with position ids: it passes none, and many models count them from the padding."""
        score: Callable[..., Scores] = partial(
            super()._get_per_token_logps_and_entropies, compute_entropy=compute_entropy, **keywords
        )
        if self._takes_positions:
            return with_positions(score, model, input_ids, attention_mask, width, batch_size or len(input_ids))
        return score(model, input_ids, attention_mask, width, batch_size)

    def _packed_pass(self, model: Any, packing: Packing) -> Any:
        with self.accelerator.autocast():
            return model(**inputs_of(packing), shift_labels=packing.labels, fused_lm_head=True)


def _spread(values: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Values (kept rows, R) spread over all rows (B, R), the others zero; `kept` is (B,)."""
    spread = values.new_zeros(len(kept), values.shape[1])
    spread[kept] = values
    return spread
