"""The same step in float64, and how far each side's loss and gradient are from it.

Two sides in float32 differ by their rounding, and no fixed number says how much of that is allowed. So one step is
computed in float64, plainly: each sequence alone, without padding, masks, fused heads or shared prompts. A side is
right if its error against that is at most `MOST` times that of stock TRL in the same precision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from trl import GRPOTrainer

MOST = 2.0
"""Times stock's own error that a side's may be."""
LOSS_ROUNDS = 4 * torch.finfo(torch.float32).eps
"""Error of a loss that is no error: it is a sum in float32 of terms of about one, a token's advantage."""


class ExactNorm(Qwen2RMSNorm):  # type: ignore[misc]  # transformers is not typed
    """Its norm in the dtype of its input; transformers' is in float32 whatever that is."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        spread = hidden_states.pow(2).mean(-1, keepdim=True) + self.variance_epsilon
        return self.weight * hidden_states * spread.rsqrt()


def make_exact(network: Any) -> Any:
    """A network in float64. Rotary angles stay float32's on all sides: they define the model."""
    for module in network.modules():
        if isinstance(module, Qwen2RMSNorm):
            module.__class__ = ExactNorm
    return network.double()


class ExactTrainer(GRPOTrainer):
    """TRL's loss of log-probabilities in float64."""

    def __init__(self, *, model: Any, **arguments: Any) -> None:
        super().__init__(model=make_exact(model), **arguments)
        if self.ref_model is not None:
            make_exact(self.ref_model)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        *_: Any,
        compute_entropy: bool = False,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        found = torch.zeros(2, len(input_ids), logits_to_keep, dtype=torch.float64, device=input_ids.device)
        for row, (ids, real) in enumerate(zip(input_ids, attention_mask.bool(), strict=True)):
            written = ids[-logits_to_keep:][real[-logits_to_keep:]]
            logits = model(input_ids=ids[real][None], logits_to_keep=len(written) + 1, use_cache=False).logits[0, :-1]
            log_probs = (logits / self.temperature).log_softmax(-1)
            found[0, row, : len(written)] = log_probs.gather(-1, written[:, None])[:, 0]
            found[1, row, : len(written)] = -(log_probs.detach().exp() * log_probs.detach()).sum(-1)
        return found[0], found[1] if compute_entropy else None, None


@dataclass(frozen=True)
class Step:
    """What a side's step gave: its loss, and its gradient by parameter."""

    loss: float
    gradients: Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Errors:
    """A step's distances from the exact one."""

    loss: float
    """Absolute; advantages have a spread of one."""
    gradient: float
    """Of all parameters together, relative to the exact gradient's norm."""
    parameter: float
    """The largest of one parameter, relative to the norm of its exact gradient."""

    def over(self, yardstick: Errors) -> float:
        """The largest of the errors, each as a multiple of the yardstick's."""
        floors = {"loss": LOSS_ROUNDS}
        own, other = asdict(self), asdict(yardstick)
        return max(value / max(other[name], floors.get(name, 1e-300)) for name, value in own.items())


def errors_of(step: Step, exact: Step) -> Errors:
    """How far a step is from the exact one."""
    apart, norms = [], []
    for name, gradient in exact.gradients.items():
        apart.append(float((step.gradients[name].double() - gradient.double()).norm()))
        norms.append(float(gradient.double().norm()))
    return Errors(
        loss=abs(step.loss - exact.loss),
        gradient=_norm(apart) / _norm(norms),
        parameter=max(one / max(norm, 1e-300) for one, norm in zip(apart, norms, strict=True)),
    )


def _norm(values: list[float]) -> float:
    return math.hypot(*values)
