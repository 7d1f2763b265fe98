"""What training computes: what is sampled for a step's groups, and the tokens of its passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rrr_core.episode import Segment
from rrr_core.planning.lengths import Lengths, Texts
from rrr_core.planning.rates import Behaviour
from rrr_core.planning.stages import Conversations, Stage
from rrr_core.planning.work import Asked, Engine, Work, work_of
from rrr_core.training.credit import credit_named
from rrr_core.training.settings import TrainSettings

DROPPABLE_LOSSES = frozenset({"dapo", "cispo", "vespo", "grpo", "dr_grpo", "sapo", "luspo"})
"""As `rrr_core.training.micro_batches.MAY_DROP`, which cannot be imported without torch; a test compares them."""


@dataclass(frozen=True, slots=True)
class Step:
    """How the groups of an optimiser step are made up."""

    settings: TrainSettings
    fields: Mapping[str, Any]
    """The user's fields of GRPOConfig, as typed values."""
    processes: int
    shares_prompts: bool = True
    """Whether a group's prompt is computed once."""
    off_policy: bool = False
    """Whether another program than the policy writes the texts."""

    @property
    def accumulation(self) -> int:
        """Passes of each process in a step."""
        return self.settings.batch_size // (self.settings.micro_batch_size * self.processes)

    @property
    def rows_at_once(self) -> int:
        """Rows that a process samples together."""
        return self.settings.micro_batch_size * int(self.fields.get("steps_per_generation") or self.accumulation)

    @property
    def repeats(self) -> int:
        """How often a text is trained on."""
        return int(self.fields.get("num_iterations") or 1)

    @property
    def drops(self) -> bool:
        """Whether zero-variance groups are left out of the passes."""
        plain = not self.fields.get("entropy_coef") and self.fields.get("top_entropy_quantile", 1.0) == 1.0
        loss = self.fields.get("loss_type", "dapo")
        whole = self.rows_at_once % self.settings.group_size == 0
        return self.settings.zero_variance != "keep" and plain and loss in DROPPABLE_LOSSES and whole

    @property
    def scores(self) -> int:
        """How often each text is scored without a gradient: by the reference model, and by the policy before a step."""
        lasts = int(self.fields.get("steps_per_generation") or self.accumulation) * self.repeats
        return (self.settings.kl > 0) + (self.off_policy or bool(self.accumulation % lasts))


def training(step: Step, texts: Texts, behaviour: Behaviour, engine: Engine) -> Stage:
    """The whole training, over all processes."""
    settings, size = step.settings, step.settings.group_size
    alike = behaviour.retries.all_alike(size)
    groups = settings.batch_size / size / step.repeats
    first_share = 1.0 if settings.only_first_tries else settings.consolidate_share * settings.mixes_first_tries
    rounds = settings.resample_rounds if settings.zero_variance == "resample" else 0
    played = groups * sum(alike**number for number in range(rounds + 1))
    kept = 1 - alike ** (rounds + 1) if step.drops else 1.0
    calls = groups * size / (step.rows_at_once * step.processes)
    together = _sampled(step, texts, behaviour, played / calls, first_share)
    completion = completion_of(step, texts, behaviour, first_share)
    prompt = texts.reflected_on if first_share < 1 else texts.prompt.mean
    tokens = kept * _pass_tokens(step, prompt, completion) * settings.batch_size
    distilled = 0.0
    if settings.distills:
        passing = settings.batch_size * (1 - first_share) * behaviour.retries.mean
        distilled = passing * (texts.prompt.mean + texts.retry.mean)
    # A micro-batch without any kept row still takes a pass over a few tokens.
    passes = step.accumulation * step.processes * (1 + step.scores) + (distilled > 0)
    a_step = work_of(together, engine) * calls + Work(
        trained=tokens + distilled, scored=tokens * step.scores, passes=passes, updates=1
    )
    saves = -(-settings.steps // settings.save_every)
    return Stage(a_step * settings.steps + Work(saves=saves), tuple(together))


def _sampled(step: Step, texts: Texts, behaviour: Behaviour, groups: float, first_share: float) -> list[Asked]:
    """What is sampled in one call of the rollout, with so many groups."""
    settings, size = step.settings, step.settings.group_size
    tried, reflected, retried = (
        Conversations(texts, limit)
        for limit in (settings.max_attempt_tokens, settings.max_reflection_tokens, settings.max_retry_tokens)
    )
    tries, reflecting = groups * first_share, groups * (1 - first_share)
    asked = [tried.first(tries * size, tries)] if tries else []
    if settings.on_policy_attempts or settings.refresh_every:
        # Rows that failed once pass less often than others; one that passes is replaced by another, which is tried.
        one, other = behaviour.sampled.parameters
        fails = 1 - one / (one + other + 1)
        asked.append(tried.first(reflecting / fails, reflecting / fails))
    going_on = reflecting * size
    for number in range(settings.rounds if reflecting else 0):
        # Nothing of a mined failure is in the cache.
        asked.append(reflected.reflections(going_on, None if number else reflecting))
        with_retry = going_on * (1 - behaviour.without_retry)
        asked.append(retried.retries(with_retry))
        going_on = max(with_retry - going_on * behaviour.retries.mean, 0.0)
    return asked


def completion_of(step: Step, texts: Texts, behaviour: Behaviour, first_share: float) -> Lengths:
    """The trained completion of an episode: from its first sampled token to its last trained one."""
    settings = step.settings
    if settings.only_first_tries:
        return texts.attempt
    trained = credit_named(settings.credit).trains([Segment("reflection"), Segment("prompt"), Segment("retry")])
    after = texts.again + texts.retry.mean + texts.observed
    more, reached = 0.0, 1.0
    for number in range(settings.rounds):
        if number:
            more += reached * (after + texts.reflect + texts.reflection.mean)
        reached *= 1 - behaviour.retries.mean
    more += after if trained[2] else 0.0
    lengths = Lengths(tuple(length + more for length in texts.reflection.sample))
    if not first_share:
        return lengths
    mean = (1 - first_share) * lengths.mean + first_share * texts.attempt.mean
    return lengths.scaled(mean / lengths.mean if lengths.mean else 1.0, max(lengths.longest, texts.attempt.longest))


def _pass_tokens(step: Step, prompt: float, completion: Lengths) -> float:
    """Tokens that a pass computes for each row."""
    size, micro = step.settings.group_size, step.settings.micro_batch_size
    if not step.shares_prompts:
        return prompt + completion.longest_of(micro)
    # The prompt's last token is the completion's first.
    together = min(size, micro)
    return (prompt - 1) / together + completion.mean
