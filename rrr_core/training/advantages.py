"""Advantages by round: each reflection has the return of its own round, against its group's members in that round.

With one round an episode has one reward, and TRL computes its advantage. With several, the members of a group part ways
as their retries pass, so a later round has fewer of them, and a baseline of its own.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import replace

from rrr_core.episode import Episode
from rrr_core.seeds import rollout_seed
from rrr_core.training.consolidation import by_kind
from rrr_core.training.credit import (
    before_sampled,
    credit_named,
    is_first_try,
    reward_of,
    rewards_by_round,
    sampled_of,
)
from rrr_core.training.micro_batches import has_variance
from rrr_core.training.settings import TrainSettings

Returns = list[float | None]
"""Of one episode, round by round; None where the verifier's fault leaves it unknown."""
EPSILON = 1e-4
"""Added to a standard deviation before dividing by it, as in TRL."""


def is_by_round(settings: TrainSettings) -> bool:
    """Whether each round of an episode has an advantage of its own."""
    return settings.rounds > 1 and credit_named(settings.credit).by_round


def returns_of(rewards: Sequence[float | None], discount: float) -> Returns:
    """Each round's reward, if it is the last, or else what discounting leaves of it plus the discounted next return.

    A failing round is paid 0 by its verdict, so that is the next return discounted. By a task's number it may be paid
    more, and all of it on top of the next round's would make it pay to be partly right first. A return that a withheld
    verdict leaves unknown is None, and so are those that build on it.

    >>> returns_of([0.0, 0.0, 1.0], 0.5)
    [0.25, 0.5, 1.0]
    >>> returns_of([0.0, None], 1.0), returns_of([0.0, None], 0.0)
    ([None, None], [0.0, None])
    >>> returns_of([0.5, 1.0], 1.0), returns_of([0.5, 1.0], 0.5), returns_of([0.5, 1.0], 0.0)
    ([1.0, 1.0], [0.75, 1.0], [0.5, 1.0])
    """
    returns: Returns = []
    for reward in reversed(rewards):
        left = discount if returns else 0.0
        after = returns[-1] if left else 0.0
        returns.append(None if reward is None or after is None else (1 - left) * reward + left * after)
    return returns[::-1]


def shuffled_by_round(returns: Sequence[Returns], seed: tuple[object, ...]) -> list[Returns]:
    """The returns, shuffled among all episodes that reached the same round: those of the placebo."""
    shuffled = [list(each) for each in returns]
    for number in range(max(map(len, returns), default=0)):
        reached = [one for one in shuffled if len(one) > number]
        values = [one[number] for one in reached]
        # The first round's as one round's rewards are shuffled.
        random.Random(rollout_seed(*seed, *((number + 1,) if number else ()))).shuffle(values)
        for one, value in zip(reached, values, strict=True):
            one[number] = value
    return shuffled


def advantages_by_round(returns: Sequence[Returns], group_size: int, scale: str) -> list[list[float]]:
    """Each episode's advantages, round by round; episodes of a group are adjacent.

    A return less the mean of those of its group in its round, divided by their standard deviation if `scale` is
    `group`, by that of the whole batch in that round if it is `batch`, by nothing if it is `none`. A return that is
    unknown enters no mean, and its advantage is 0; so is that of a single known one.

    >>> advantages_by_round([[1.0], [0.0, 1.0], [0.0, 0.0], [0.0, None]], 4, "none")
    [[0.75], [-0.25, 0.5], [-0.25, -0.5], [-0.25, 0.0]]
    """
    advantages = [[0.0] * len(each) for each in returns]
    for number in range(max(map(len, returns), default=0)):
        known = {place: each[number] for place, each in enumerate(returns) if len(each) > number}
        values = {place: value for place, value in known.items() if value is not None}
        spread = statistics.stdev(values.values()) if scale == "batch" and len(values) > 1 else 0.0
        for start in range(0, len(returns), group_size):
            group = {place: values[place] for place in range(start, start + group_size) if place in values}
            if len({*group.values()}) < 2:
                continue
            mean = statistics.fmean(group.values())
            if scale == "group":
                spread = statistics.stdev(group.values())
            divisor = 1.0 if scale == "none" else spread + EPSILON
            for place, value in group.items():
                advantages[place][number] = (value - mean) / divisor
    return advantages


def has_signal(group: Sequence[Episode], settings: TrainSettings) -> bool:
    """Whether a group has an advantage that is not zero, by its true verdicts."""
    if not is_by_round(settings):
        return any(has_variance([reward_of(episode, settings.rewards) for episode in group], len(group)))
    returns = [_returns(episode, settings) for episode in group]
    return any(map(any, advantages_by_round(returns, len(group), "none")))


def weighed(
    episodes: Sequence[Episode],
    settings: TrainSettings,
    scale: str,
    moment: tuple[object, ...],
) -> list[Episode]:
    """A batch's episodes, each trained segment with its round's advantage; `moment` seeds the placebo."""
    returns = [_returns(each, settings) for each in episodes]
    if credit_named(settings.credit).shuffles:
        is_first = [is_first_try(each) for each in episodes]
        returns = by_kind(returns, is_first, lambda each: shuffled_by_round(each, (*moment, "placebo")))
    advantages = advantages_by_round(returns, settings.group_size, scale)
    return [with_advantages(episode, each) for episode, each in zip(episodes, advantages, strict=True)]


def _returns(episode: Episode, settings: TrainSettings) -> Returns:
    return returns_of(rewards_by_round(episode, settings.rewards), settings.round_discount)


def with_advantages(episode: Episode, advantages: Sequence[float]) -> Episode:
    """The episode with its round's advantage on each trained segment; a first try has one for all its actions."""
    segments, number = [], 0
    for place, segment in enumerate(sampled_of(episode)):
        number += segment.role == "reflection" and place > 0
        segments.append(replace(segment, advantage=advantages[number]) if segment.is_trained else segment)
    return replace(episode, segments=(*before_sampled(episode), *segments))


def in_groups_with_signal(episodes: Sequence[Episode], group_size: int) -> list[bool]:
    """For each episode, whether any segment of its group has an advantage that is not zero."""
    weighs = [any(segment.advantage for segment in episode.segments) for episode in episodes]
    groups = [weighs[start : start + group_size] for start in range(0, len(weighs), group_size)]
    return [any(group) for group in groups for _ in group]
