"""Training settings. Imports no torch, so that the command line starts quickly."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rrr_core.config.limits import STEPS, STEPS_HELP, THINKING_TOKENS, TOKENS
from rrr_core.config.option import option
from rrr_core.config.settings import Settings
from rrr_core.errors import RrrError
from rrr_core.training.credit import ATTEMPT, CREDITS, trains_reflections
from rrr_core.training.rewards import REWARDS, Rewards
from rrr_core.training.shares import read_weights

MAY_CHANGE = frozenset({"max_abstain", "keep_checkpoints", "report_to", "sharding", "collective_timeout"})
"""Settings that change no result: a run may be resumed with other values."""
ZERO_VARIANCE = ("drop", "keep", "resample")
CURRICULA = ("none", "easy-first", "hard-first")
CONSOLIDATE = ("none", "distill", "reward", "both")
COLLECTIVE_TIMEOUT = 1800.0
SHARDING = ("none", "fsdp2", "zero2", "zero3")


@dataclass(frozen=True)
class TrainSettings(Settings):
    """Masked GRPO on reflections. The defaults are the paper's (arXiv 2505.24726, section 4)."""

    steps: int = option(1750, "Optimiser steps.", minimum=1)
    group_size: int = option(8, "Reflections sampled on one failed attempt (G).", minimum=2)
    batch_size: int = option(256, "Reflections in one optimiser step, over all processes.", minimum=2)
    micro_batch_size: int = option(8, "Reflections in one forward pass on one process.", minimum=1)
    learning_rate: float = option(5e-7, "Peak learning rate.", minimum=0)
    scheduler: str = option("cosine", "Learning-rate schedule, by its name in transformers.")
    warmup_ratio: float = option(0.03, "Share of steps over which the learning rate rises.", minimum=0, maximum=0.99)
    kl: float = option(0.001, "Weight of the divergence from the model that training starts from (beta).", minimum=0)
    temperature: float = option(0.9, "Sampling temperature of reflections and retries.", minimum=0.01)
    max_reflection_tokens: int = option(
        TOKENS,
        f"Longest reflection with its thought, in tokens; {THINKING_TOKENS} by default for a model that thinks.",
        minimum=1,
    )
    max_retry_tokens: int = option(
        TOKENS,
        f"Longest retry with its thought, in tokens; {THINKING_TOKENS} by default for a model that thinks.",
        minimum=1,
    )
    max_steps: int = option(STEPS, STEPS_HELP, minimum=1)
    credit: str = option(
        "reflection",
        f"Which tokens are trained: {'; '.join(credit.help for credit in CREDITS.values())}.",
        choices=tuple(CREDITS),
    )
    rounds: int = option(
        1, "Most rounds of an episode: a reflection and a retry each, until a retry passes.", minimum=1
    )
    round_discount: float = option(
        1.0,
        "With several rounds, what the next round's return counts towards a reflection's, besides its own retry's"
        " reward; at 0 each reflection answers for its own retry alone.",
        minimum=0,
        maximum=1,
    )
    reward: str = option(
        "verdict",
        "What a retry is paid: 1 or 0 by its verdict; or (task) the number from 0 to 1 that the task gives, if it has"
        " rrr_reward. Figures count verdicts alone.",
        choices=REWARDS,
    )
    length_bonus: float = option(
        0.0,
        "Share of a passing retry's reward that a reflection of --max-reflection-tokens adds, and a shorter one in"
        " proportion: below 0 concise reflections pay more, above 0 verbose ones. A failing retry gets none.",
        minimum=-1,
        maximum=1,
    )
    consolidate: str = option(
        "none",
        "What the first try learns from: distill: passing retries, learned as answers to the row's own prompt; reward:"
        " first tries among the step's groups, rewarded by their own verdicts; both; or none.",
        choices=CONSOLIDATE,
    )
    distill_weight: float = option(
        1.0, "Weight of a passing retry's negative log-likelihood, with `--consolidate distill`.", minimum=0
    )
    consolidate_share: float = option(
        0.25, "Share of a step's groups that are first tries, with `--consolidate reward`.", minimum=0, maximum=1
    )
    shared_prompt: bool = option(
        True, "Compute a group's prompt once for all its reflections, not once for each of them."
    )
    zero_variance: str = option(
        "drop",
        "What to do with a zero-variance group, whose judged retries all have one reward and give no gradient: drop"
        " it from the forward pass; keep it there, where only the divergence (--kl) gives a gradient; or resample:"
        " replace it with a group on another failure (dynamic sampling), and drop those that remain.",
        choices=ZERO_VARIANCE,
    )
    resample_rounds: int = option(3, "Rounds of resampling in a step, with `--zero-variance resample`.", minimum=1)
    refresh_every: int = option(
        0,
        "Steps between refreshes, when the current policy tries the coming steps' failures again: new failing"
        " attempts replace the mined ones, and rows that now pass are skipped. 0 keeps the mined attempts.",
        minimum=0,
    )
    on_policy_attempts: bool = option(
        False, "Reflect on new attempts of the current policy, one per group, instead of the mined ones."
    )
    max_attempt_tokens: int = option(
        TOKENS,
        "Longest attempt with its thought, in tokens, that --refresh-every, --on-policy-attempts, --consolidate reward"
        f" and --credit attempt sample; {THINKING_TOKENS} by default for a model that thinks.",
        minimum=1,
    )
    weights: str = option(
        "",
        "With several tasks, what each one's share of the groups weighs, as TASK=NUMBER,TASK=NUMBER; 1 for those left"
        " out, so shares are equal by default.",
    )
    curriculum: str = option(
        "none",
        "Order of each task's failures: none: shuffled; easy-first or hard-first: the same failures, from the rows that"
        " mining passed most often to those it passed least, or the other way.",
        choices=CURRICULA,
    )
    lora_rank: int = option(0, "Rank of LoRA adapters; 0 trains all weights.", minimum=0)
    lora_alpha: int = option(32, "LoRA's alpha.", minimum=1)
    lora_targets: tuple[str, ...] = option(("all-linear",), "Modules that get LoRA adapters.")
    sharding: str = option(
        "none",
        "How several processes share the weights, gradients and optimiser state: fsdp2; DeepSpeed's zero2 or zero3; or"
        " as accelerate's configuration says, which is none without one.",
        choices=SHARDING,
    )
    collective_timeout: float = option(
        COLLECTIVE_TIMEOUT,
        "Seconds that one of several processes may wait for the others, after which all end and one says who waited"
        " where.",
        minimum=1,
    )
    save_every: int = option(50, "Steps between checkpoints.", minimum=1)
    keep_checkpoints: int = option(2, "Checkpoints kept.", minimum=1)
    log_every: int = option(1, "Steps between lines of metrics.", minimum=1)
    episodes_per_step: int = option(16, "Training episodes kept for the report, a step.", minimum=0)
    max_abstain: float = option(0.01, "Share of withheld verdicts at which training stops.", minimum=0, maximum=1)
    seed: int = option(0, "Seed of sampling, shuffling and initialisation.", minimum=0)
    report_to: tuple[str, ...] = option((), "Trackers that transformers reports to: tensorboard, wandb, trackio.")
    grpo: Mapping[str, str] = option({}, "A field of TRL's GRPOConfig that acts (docs/training.md), as NAME=VALUE.")

    def __post_init__(self) -> None:
        super().__post_init__()
        read_weights(self.weights)
        credit = CREDITS[self.credit]
        if self.rounds == 1 and credit.of_rounds:
            raise RrrError(f"--credit {credit.name} acts only with several rounds: raise --rounds, or leave it out.")
        if self.round_discount != 1 and (self.rounds == 1 or not credit.by_round):
            by_round = " or ".join(name for name, one in CREDITS.items() if one.by_round)
            raise RrrError(
                f"--round-discount acts only with several rounds and --credit {by_round}:"
                f" {'raise --rounds' if credit.by_round else 'change --credit'}, or leave --round-discount out."
            )
        if self.length_bonus and not trains_reflections(credit):
            raise RrrError(
                f"--length-bonus rewards the length of reflections, and --credit {credit.name} trains none: use"
                " --credit reflection, or leave it out."
            )

    def check_given(self, fields: Collection[str]) -> None:
        """Raise RrrError for a token limit of texts that these settings never sample."""
        reflects = "it trains first tries alone"
        unsampled = (
            ("max_reflection_tokens", "reflections", self.only_first_tries, reflects),
            ("max_retry_tokens", "retries", self.only_first_tries, reflects),
            ("max_attempt_tokens", "attempts", not self._samples_attempts, "nothing else asks for new ones"),
        )
        for field, texts, is_unsampled, why in unsampled:
            if is_unsampled and field in fields:
                raise RrrError(
                    f"--{field.replace('_', '-')} limits {texts}, and --credit {self.credit} samples none ({why}):"
                    " leave it out."
                )

    def identity(self) -> dict[str, Any]:
        """The settings that results depend on; the newest only where they act, since older folders lack them."""
        unused = {name for name in ("weights", "curriculum") if getattr(self, name) in ("", "none")}
        return {name: value for name, value in asdict(self).items() if name not in MAY_CHANGE | unused}

    @property
    def only_first_tries(self) -> bool:
        """Whether all groups are first tries."""
        return self.credit == ATTEMPT.name

    @property
    def mixes_first_tries(self) -> bool:
        """Whether some groups are first tries, beside those that reflect."""
        return self.consolidate in ("reward", "both")

    @property
    def _samples_attempts(self) -> bool:
        return self.only_first_tries or self.mixes_first_tries or self.on_policy_attempts or self.refresh_every > 0

    @property
    def distills(self) -> bool:
        """Whether passing retries are learned as first tries."""
        return self.consolidate in ("distill", "both")

    @property
    def rewards(self) -> Rewards:
        """How retries are paid."""
        return Rewards(self.length_bonus, self.max_reflection_tokens)
