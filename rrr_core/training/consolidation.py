"""Consolidation: the first try learns what reflecting found, from passing retries or from its own verdicts.

*Reward* makes some groups of a step first tries: G samples on the failure's first prompt, rewarded by their own
verdicts, as in plain GRPO. *Distill* learns a passing retry as the answer to that prompt, without the failed attempt
and the reflection before it (self-distillation, as in ERL, arXiv 2602.13949).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from rrr_core.episode import Episode
from rrr_core.errors import RrrError
from rrr_core.seeds import rollout_seed
from rrr_core.training.credit import is_first_try, sampled_tokens
from rrr_core.training.settings import TrainSettings

Value = TypeVar("Value")


def check_consolidation(settings: TrainSettings, groups: int) -> None:
    """Raise RrrError for settings of consolidation that do not fit together or would change nothing.

    `groups` is how many are sampled at once.
    """
    defaults = TrainSettings()
    for name, acts in (("distill_weight", settings.distills), ("consolidate_share", settings.mixes_first_tries)):
        if not acts and getattr(settings, name) != getattr(defaults, name):
            mode = "distill" if name == "distill_weight" else "reward"
            raise RrrError(f"--{name.replace('_', '-')} would change nothing without --consolidate {mode} or both.")
    if settings.only_first_tries:
        for name, given in (
            (f"--consolidate {settings.consolidate}", settings.consolidate != "none"),
            ("--rounds", settings.rounds > 1),
            ("--refresh-every", settings.refresh_every > 0),
            ("--on-policy-attempts", settings.on_policy_attempts),
        ):
            if given:
                raise RrrError(f"--credit attempt trains first tries alone, so {name} would change nothing: drop one.")
    if settings.distills and not settings.distill_weight:
        raise RrrError("--distill-weight 0 learns nothing: raise it, or leave --consolidate distill out.")
    if settings.mixes_first_tries:
        count = first_try_groups(settings.consolidate_share, groups)
        if not 0 < count < groups:
            raise RrrError(
                f"--consolidate-share {settings.consolidate_share:g} makes {count} of the {groups}"
                f" group{'' if groups == 1 else 's'} sampled at once first tries, and --consolidate"
                " reward needs some of either kind: change it, --batch-size or --group-size"
                f"{', or use --credit attempt' if count else ''}."
            )


def first_try_groups(share: float, groups: int) -> int:
    """How many of a batch's groups are first tries: the share, rounded, but one at least if there are two groups.

    >>> [first_try_groups(0.25, groups) for groups in (1, 2, 4, 32)], first_try_groups(0.0, 32)
    ([0, 1, 1, 8], 0)
    """
    return max(round(share * groups), int(share > 0 and groups > 1))


def first_try_places(settings: TrainSettings, groups: int, seed: tuple[object, ...]) -> frozenset[int]:
    """Which of a generation batch's groups, by place, are first tries."""
    if settings.only_first_tries:
        return frozenset(range(groups))
    if not settings.mixes_first_tries:
        return frozenset()
    drawn = random.Random(rollout_seed(*seed, "first tries"))
    return frozenset(drawn.sample(range(groups), first_try_groups(settings.consolidate_share, groups)))


def by_kind(
    values: Sequence[Value], is_first: Sequence[bool], mix: Callable[[list[Value]], list[Value]]
) -> list[Value]:
    """The values, mixed among the first tries and among the others.

    >>> by_kind([1, 2, 3, 4], [True, False, True, False], lambda each: each[::-1])
    [3, 4, 1, 2]
    """
    mixed = {
        kind: iter(mix([one for one, own in zip(values, is_first, strict=True) if own is kind]))
        for kind in (False, True)
    }
    return [next(mixed[kind]) for kind in is_first]


def shuffled(values: Sequence[Value], episodes: Sequence[Episode], seed: int) -> list[Value]:
    """Each episode's value, shuffled among the first tries and among the others: a placebo for either."""

    def mix(drawn: list[Value]) -> list[Value]:
        random.Random(seed).shuffle(drawn)
        return drawn

    return by_kind(values, list(map(is_first_try, episodes)), mix)


def first_try_measures(tries: Sequence[Episode]) -> dict[str, float]:
    """Metrics of first tries by name; none if there are no first tries."""
    if not tries:
        return {}
    judged = [episode.verdict for episode in tries if not episode.verdict.is_abstained]
    rewards = [verdict.reward for verdict in judged if verdict.reward is not None]
    return {
        "first_try_success_rate": sum(verdict.is_passed for verdict in judged) / (len(judged) or 1),
        "first_try_reward": sum(rewards) / (len(rewards) or 1),
        "first_try_tokens": sum(map(sampled_tokens, tries)) / len(tries),
        "first_tries_cut_off": sum(episode.attempt.is_cut_off for episode in tries) / len(tries),
    }
