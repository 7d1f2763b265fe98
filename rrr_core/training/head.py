"""The language model's head on a CPU: log-probabilities of labels and more, by tiles that fit a core's cache.

TRL's head folds tiles of 32,768 words of the vocabulary with a Triton kernel. Where there is none, it makes about ten
passes over each tile in memory and computes every logit twice, forward and backward. Here the forward pass keeps the
exponentials, where there is room for them, and the backward pass only scales them.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from trl.kernels import ChunkedLogProbFunction

from rrr_core.generation.products import float32_by_bfloat16, product, product_of_columns

TILE, FEWEST_COLUMNS = 2**20, 256
"""Most cells of a tile, 4 MiB, and its fewest columns; their number is a power of two."""
KEPT = 2**27
"""Most cells of exponentials that are kept for the backward pass: 512 MiB."""
OURS = frozenset({"log_probs", "entropy", "is_top1"})

Outputs = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]


class HeadOfTrl:
    """Takes the place of TRL's `ChunkedLogProbFunction`: our head where it is faster, else TRL's."""

    @staticmethod
    def apply(
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        labels: torch.Tensor,
        temperature: float,
        chunk_size: int,
        softcap: float | None = None,
        logit_scale: float = 1.0,
        outputs: tuple[str, ...] = ("log_probs",),
    ) -> Outputs:
        """TRL's five outputs (N,) for hidden states (N, I), a head (V, I) and labels (N,); None where not asked for.

        A GPU has TRL's kernel. A head with a bias, a soft cap or weights that are sharded is left to TRL, too.
        """
        is_plain = bias is None and softcap is None and set(outputs) <= OURS and not hasattr(weight, "ds_id")
        if hidden.device.type != "cpu" or not is_plain or not len(hidden):
            found: Outputs = ChunkedLogProbFunction.apply(
                hidden, weight, bias, labels, temperature, chunk_size, softcap, logit_scale, outputs
            )
            return found
        log_probs, entropy, is_top1 = TiledHead.apply(
            hidden, weight, labels, logit_scale / temperature, "entropy" in outputs, "is_top1" in outputs
        )
        return log_probs, entropy, None, None, is_top1


class TiledHead(torch.autograd.Function):  # type: ignore[misc]  # torch is not typed
    """Log-probabilities and entropies (N,) of labels (N,) under the logits `scale * hidden @ weight.T` (N, V).

    And whether each label is the first of the likeliest words.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        labels: torch.Tensor,
        scale: float,
        wants_entropy: bool,
        wants_top: bool,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        ctx.set_materialize_grads(False)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else hidden.dtype
        logits = _Logits(hidden, weight, scale, dtype)
        keeps = any(ctx.needs_input_grad) and len(hidden) * len(weight) <= KEPT
        top = hidden.new_full((len(hidden),), -torch.inf, dtype=torch.float32)  # the largest logit so far
        total, weighted, at_label = torch.zeros_like(top), torch.zeros_like(top), torch.zeros_like(top)
        likeliest = torch.zeros_like(labels)
        kept, tops = [], []
        for start in logits.starts:
            values = logits.tile(start)
            places = labels - start
            inside = (places >= 0) & (places < values.shape[1])
            found = values.gather(1, places.clamp(0, values.shape[1] - 1)[:, None])[:, 0]
            at_label = torch.where(inside, found, at_label)
            last, largest = top, values.amax(1)
            top = torch.maximum(top, largest)
            if wants_top:
                likeliest = torch.where(largest > last, start + values.argmax(1), likeliest)
            shrinks = torch.exp(last - top)
            powers = values.sub_(top[:, None]).exp()
            summed = powers.sum(1)
            total = total * shrinks + summed
            if wants_entropy:
                weighted = weighted * shrinks + torch.linalg.vecdot(powers, values) + top * summed
            if keeps:
                kept.append(powers)
                tops.append(top)
        log_total = top + total.log()
        entropy = log_total - weighted / total if wants_entropy else None
        ctx.scale, ctx.dtype = scale, dtype
        ctx.save_for_backward(hidden, weight, labels, log_total, entropy, *kept, *tops)
        is_top1 = likeliest == labels if wants_top else None
        if is_top1 is not None:
            ctx.mark_non_differentiable(is_top1)
        return at_label - log_total, entropy, is_top1

    @staticmethod
    def backward(
        ctx: Any, of_log_prob: torch.Tensor | None, of_entropy: torch.Tensor | None, _: None
    ) -> tuple[Any, ...]:
        # d log p(label) / d logit = [label] - p, and d entropy / d logit = -p (log p + entropy).
        hidden, weight, labels, log_total, entropy, *saved = ctx.saved_tensors
        kept, tops = saved[: len(saved) // 2], saved[len(saved) // 2 :]
        logits = _Logits(hidden, weight, ctx.scale, ctx.dtype)
        slope = ctx.scale * (torch.zeros_like(log_total) if of_log_prob is None else of_log_prob.float())
        of_hidden = torch.zeros(hidden.shape) if ctx.needs_input_grad[0] else None
        of_weight = torch.empty(weight.shape) if ctx.needs_input_grad[1] else None
        states, rounded = hidden.float(), hidden.to(ctx.dtype)
        for number, start in enumerate(logits.starts):
            if kept and of_entropy is None:
                factor = -slope * torch.exp(tops[number] - log_total)
                of_logits = kept[number] * factor[:, None]
            else:
                of_logits = logits.tile(start).sub_(log_total[:, None])  # log p
                factor = -slope[:, None]
                if of_entropy is not None:
                    factor = factor - (ctx.scale * of_entropy.float())[:, None] * (of_logits + entropy[:, None])
                of_logits.exp_().mul_(factor)
            end = start + of_logits.shape[1]
            if of_hidden is not None:
                with float32_by_bfloat16() if ctx.dtype is torch.bfloat16 else nullcontext():
                    of_hidden += product(of_logits, weight[start:end].float().t())
            if of_weight is not None and ctx.dtype is torch.bfloat16:
                # Rounded once, as a linear layer's under autocast is. Of hidden states each tile's would be, and TRL
                # found that to bias training.
                of_weight[start:end] = of_logits.to(ctx.dtype).t() @ rounded
            elif of_weight is not None:
                of_weight[start:end] = product_of_columns(of_logits, states)
        if of_hidden is not None:
            of_hidden = of_hidden.addcmul_(weight[labels].float(), slope[:, None]).to(hidden.dtype)
        if of_weight is not None:
            of_weight = of_weight.index_add_(0, labels, states * slope[:, None]).to(weight.dtype)
        return of_hidden, of_weight, None, None, None, None


class _Logits:
    """Logits (N, V) in float32, a tile (N, W) at a time."""

    def __init__(self, hidden: torch.Tensor, weight: torch.Tensor, scale: float, dtype: torch.dtype) -> None:
        self._hidden, self._weight, self._scale = hidden.to(dtype), weight, scale
        columns = max(TILE // len(hidden), FEWEST_COLUMNS)
        self._width = 1 << (columns.bit_length() - 1)
        self.starts = range(0, len(weight), self._width)

    def tile(self, start: int) -> torch.Tensor:
        """The logits of the words from `start` on."""
        part = self._weight[start : start + self._width].to(self._hidden.dtype)
        values = product(self._hidden, part).float()
        return values if self._scale == 1 else values.mul_(self._scale)
