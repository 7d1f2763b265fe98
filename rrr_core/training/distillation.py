"""Distilling passing retries: each is learned as the answer to its row's first prompt, beside a step's own rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rrr_core.episode import Episode, Messages
from rrr_core.training.credit import prompt_ids
from rrr_core.training.passes import Scores
from rrr_core.training.scoring import ScoringTrainer


@dataclass(frozen=True, slots=True)
class Target:
    """A passing retry as the answer to its row's first prompt: a text, or a course of actions."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    """The retry's ids as sampled, its thought and its end token among them, and those of the observations between."""
    read: frozenset[int] = frozenset()
    """The places in the answer whose ids were only read: those of observations."""

    @property
    def learned(self) -> list[int]:
        """The other places, whose ids were sampled."""
        return [place for place in range(len(self.answer)) if place not in self.read]


def targets_of(
    episodes: Sequence[Episode], passes: Sequence[bool], encode: Callable[[Messages], Sequence[int]]
) -> list[Target]:
    """Of each failure its first passing retry; `passes` says which episodes count as passed.

    First tries, and retries whose ids were not kept, since the chat template rewrote what is before them, are no
    targets. A failure with two groups has one target.
    """
    found: dict[tuple[int, tuple[int, ...]], Target] = {}
    for episode, is_passed in zip(episodes, passes, strict=True):
        retry = episode.last_try if episode.rounds and episode.rounds[-1].retry is not None else ()
        failure = (episode.row_index, tuple(prompt_ids(episode)))
        if is_passed and retry and all(each.ids for each in retry) and failure not in found:
            tokens = [(token, each.is_read) for each in retry for token in each.ids]
            found[failure] = Target(
                tuple(encode(episode.prompt)),
                tuple(token for token, _ in tokens),
                frozenset(place for place, (_, is_read) in enumerate(tokens) if is_read),
            )
    return list(found.values())


class Distillation:
    """What distilling adds to the loss of a run, in one of its processes.

    The targets belong to a generation batch, and are dealt over its micro-batches: each is computed in one forward pass
    with a micro-batch's own rows. The term is the mean over all their tokens, in all processes, of the negative
    log-likelihood, times `weight`.
    """

    def __init__(self, weight: float, gather: Callable[[list[Any]], list[Any]]) -> None:
        """`gather` concatenates all processes' lists, in every process."""
        self.weight, self.gather = weight, gather
        self.targets: Sequence[Target] = ()
        """Of the generation batch in use."""
        self.rows: Sequence[Target] = ()
        """Of these, those of the micro-batch in use."""
        self.logps: torch.Tensor | None = None
        """Their log-probabilities (B, R), padded on the right."""
        self._share = 0.0
        """Of one token in the mean, as the processes' average of their losses needs it."""
        self._since: list[torch.Tensor] = []
        """Summed negative log-likelihoods since the last optimiser step."""
        self._tokens = 0

    def deal(self, micro_batches: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The micro-batches of a generation batch, each with its part of the targets."""
        counts = self.gather([sum(len(target.learned) for target in self.targets)])
        self._share = len(counts) / max(1, sum(counts))
        places = range(len(micro_batches))
        return [{**micro_batches[place], "targets": self.targets[place :: len(places)]} for place in places]

    def beside(
        self, ids: torch.Tensor, mask: torch.Tensor, width: int, padding: int
    ) -> tuple[torch.Tensor, torch.Tensor, int]:
        """A padded batch, ids and mask (B, P + R), with the targets of `rows` as its last rows, and its new R.

        As in TRL's batch, prompts are padded on the left and completions, R = `width` wide, on the right.
        """
        own, edge = len(ids), ids.shape[1] - width
        before = max(edge, *(len(target.prompt) for target in self.rows))
        after = max(width, *(len(target.answer) for target in self.rows))
        wider = ids.new_full((own + len(self.rows), before + after), padding)
        real = mask.new_zeros(wider.shape)
        wider[:own, before - edge : before + width] = ids
        real[:own, before - edge : before + width] = mask
        for row, target in enumerate(self.rows, own):
            place = slice(before - len(target.prompt), before + len(target.answer))
            wider[row, place] = ids.new_tensor([*target.prompt, *target.answer])
            real[row, place] = 1
        return wider, real, after

    def loss(self, passes: float, is_last: bool) -> tuple[torch.Tensor | float, float | None]:
        """The term that this micro-batch adds; and the mean, without its weight, over a step that ends with it.

        Scaled as TRL scales a token's loss: `passes` is how many forward passes a step has, in units of the generation
        batch. The mean is None before the end of a step, and for one without targets.
        """
        term: torch.Tensor | float = 0.0
        if self.rows:
            assert self.logps is not None
            summed = -sum(row[each.learned].sum() for each, row in zip(self.rows, self.logps, strict=True))
            term = self.weight * self._share / passes * summed
            self._since.append(summed.detach())
            self._tokens += sum(len(target.learned) for target in self.rows)
        self.rows, self.logps = (), None
        if not is_last:
            return term, None
        found = self.gather([(float(sum(self._since)), self._tokens)])
        self._since, self._tokens = [], 0
        tokens = sum(count for _, count in found)
        return term, sum(likelihood for likelihood, _ in found) / tokens if tokens else None


class DistillingTrainer(ScoringTrainer):
    """Adds the term of distilling to TRL's loss; without distilling, nothing."""

    distillation: Distillation | None

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
        distillation, rows, score = self.distillation, len(input_ids), super()._get_per_token_logps_and_entropies
        if distillation is None or not distillation.rows or not torch.is_grad_enabled():
            return score(model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, **keywords)
        # In one pass: a data-parallel model is called once for each micro-batch, whether it has targets or not.
        more = distillation.beside(input_ids, attention_mask, logits_to_keep, self._tokenizer.pad_token_id)
        logps, entropies, auxiliary = score(model, *more, batch_size, compute_entropy, **keywords)
        distillation.logps = logps[rows:]
        own = slice(rows), slice(logits_to_keep)
        return logps[own], None if entropies is None else entropies[own], auxiliary

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        metrics = self._metrics["train"]
        lengths = {name: len(values) for name, values in metrics.items()}
        if self.distillation is not None:
            self.distillation.rows = inputs["targets"]
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        if not inputs["completion_mask"].any():  # a measurement of no token is not logged
            for name, values in metrics.items():
                del values[lengths.get(name, 0) :]
        if self.distillation is None:
            return loss
        term, mean = self.distillation.loss(
            passes=self.current_gradient_accumulation_steps / self.args.steps_per_generation,
            is_last=self.accelerator.sync_gradients,
        )
        if mean is not None:
            metrics["distill_loss"].append(mean)
        return loss + term
