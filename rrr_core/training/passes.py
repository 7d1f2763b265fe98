"""Which forward pass a model is trained with: the packed or the padded one, whichever is right at these lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from rrr_core.episode import Failure, Segment
from rrr_core.errors import ModelError, RrrError
from rrr_core.generation.trial import Sample, Score, evaluating
from rrr_core.text import one_line
from rrr_core.training.credit import credit_named
from rrr_core.training.settings import TrainSettings
from rrr_core.training.shared_prompt import prepare

ScoreOf = Callable[[Any], Score]
"""A network's pass as training computes it."""
Scores = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]
"""Log-probabilities (B, R), entropies (B, R) and the experts' auxiliary loss, as TRL's method gives them."""


def extremes(failures: Sequence[Failure]) -> tuple[Failure, Failure]:
    """The failures with the longest and the shortest text."""

    def length(failure: Failure) -> int:
        return sum(
            len(segment.text) + sum(len(str(message["content"])) for message in segment.messages)
            for segment in failure.episode.segments
        )

    return max(failures, key=length), min(failures, key=length)


def context_of(network: Any) -> int | None:
    """Most tokens that a network has positions for; None if its configuration does not say."""
    context: int | None = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return context


@dataclass(frozen=True, slots=True)
class Requests:
    """Tokens of what an episode reads between its texts, the turns' starts and ends included."""

    reflect: int = 0
    """In the request to reflect on a failed retry."""
    retry: int = 0
    observe: int = 0
    """In an observation within a course of actions."""
    steps: int = 1
    """Most actions of an answer."""

    def course(self, most: int) -> int:
        """Tokens of an answer with actions of at most `most` tokens."""
        return self.steps * most + (self.steps - 1) * self.observe


def longest_completion(settings: TrainSettings, requests: Requests | None = None) -> int:
    """The most tokens of a training completion: up to the last text that is trained.

    Without `requests`, all but the few tokens between its texts.
    """
    requests = requests or Requests()
    if settings.only_first_tries:
        return requests.course(settings.max_attempt_tokens)
    trains_retry = credit_named(settings.credit).trains([Segment("reflection"), Segment("retry")])[1]
    retries = settings.rounds - (0 if trains_retry else 1)
    return max(
        settings.rounds * settings.max_reflection_tokens
        + retries * (requests.retry + requests.course(settings.max_retry_tokens))
        + (settings.rounds - 1) * requests.reflect,
        requests.course(settings.max_attempt_tokens) if settings.mixes_first_tries else 0,
        requests.course(settings.max_retry_tokens) if settings.distills else 0,
    )


def check_length(
    settings: TrainSettings, context: int | None, prompt: int = 0, requests: Requests | None = None
) -> None:
    """Raise RrrError if an episode of several rounds, each text as long as it may be, does not fit the context.

    Of one round only the prompt has to fit, and a text ends with the context. So does a course after its first action.
    """
    if settings.rounds == 1 or context is None:
        return
    requests = requests or Requests()
    a_round = settings.max_reflection_tokens + requests.retry + settings.max_retry_tokens
    needed = prompt + settings.rounds * a_round + (settings.rounds - 1) * requests.reflect
    if needed > context:
        raise RrrError(
            f"--rounds {settings.rounds} may take {needed} tokens, and the model's context holds {context}: lower"
            f" --rounds, --max-reflection-tokens (now {settings.max_reflection_tokens}) or --max-retry-tokens (now"
            f" {settings.max_retry_tokens})."
        )


def with_positions(
    score: Callable[..., Scores],
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    width: int,
    size: int,
) -> Scores:
    """TRL's scores of a padded batch, `size` rows at a time, the model called with each token's position in its row."""
    positions = (attention_mask.cumsum(1) - 1).clamp(min=0)
    parts = []
    for start in range(0, len(input_ids), size):
        rows = slice(start, start + size)
        called = partial(model, position_ids=positions[rows])
        parts.append(score(called, input_ids[rows], attention_mask[rows], width))
    logps, entropies, auxiliary = zip(*parts, strict=True)
    return (
        torch.cat(logps),
        None if entropies[0] is None else torch.cat(entropies),
        None if auxiliary[0] is None else torch.stack(auxiliary).mean(),
    )


@dataclass(frozen=True)
class Passes:
    """The passes to choose from, and how training computes them."""

    packed: ScoreOf
    padded: ScoreOf
    temperature: float
    """Which logits are divided by."""
    autocast: Callable[[], AbstractContextManager[Any]]

    def against_sharing(self, networks: Sequence[Any], sample: Sample, reason: str | None = None) -> str | None:
        """None if the packed pass is right for each network on this sample; else why not, and the padded one is right.

        `reason` leaves the packed pass untried. Raises ModelError if neither pass is right.
        """
        alone = [self._alone(network, sample) for network in networks]
        reason = reason or next(filter(None, map(prepare, networks)), None)
        reason = reason or self._wrong(self.packed, networks, sample, alone)
        if reason is None:
            return None
        wrong = self._wrong(self.padded, networks, sample, alone)
        if wrong is not None:
            raise ModelError(
                f"{_who(networks[0])} cannot be trained: on a batch with prompts of {len(sample.long)} and"
                f" {len(sample.short)} tokens and completions of {len(sample.written)} and {sample.few}, it gives other"
                f" probabilities than on each sequence alone. Padded, {wrong}; with shared prompts, {reason}. Train"
                " another architecture: docs/compatibility.md lists those that work."
            )
        return reason

    def _alone(self, network: Any, sample: Sample) -> torch.Tensor:
        try:
            with torch.no_grad(), evaluating(network), self.autocast():
                alone = sample.alone(network, self.temperature)
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
            raise ModelError(
                f"{_who(network)} cannot be trained: it fails on a sequence of {len(sample.long) + len(sample.written)}"
                f" tokens, the length of this run's ({one_line(error)}). Lower --max-reflection-tokens, or train"
                " another model."
            ) from error
        if not bool(alone.isfinite().all()):
            raise ModelError(
                f"{_who(network)} cannot be trained: its output is not finite: weights have diverged or overflow:"
                " try --dtype float32."
            )
        return alone

    def _wrong(
        self, pass_of: ScoreOf, networks: Sequence[Any], sample: Sample, alone: Sequence[torch.Tensor]
    ) -> str | None:
        """What is wrong with a pass on the first network that it is wrong on; None if it is right on all."""
        for network, expected in zip(networks, alone, strict=True):
            with torch.no_grad(), evaluating(network), self.autocast():
                found = sample.tried(pass_of(network), expected)
                wrong = found.wrong(partial(sample.noise, network, self.temperature))
            if wrong is not None:
                return wrong
        return None


def _who(network: Any) -> str:
    return f"{network.config._name_or_path or 'The model'} ({type(network).__name__})"
