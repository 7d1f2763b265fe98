"""A generation batch: its failures chosen, its episodes played, and its zero-variance groups resampled.

Resampling follows DAPO's dynamic sampling (arXiv 2503.14476, section 3.2), with a limit on its rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rrr_core.episode import Episode, Failure
from rrr_core.seeds import WHOLE
from rrr_core.training.advantages import has_signal
from rrr_core.training.consolidation import first_try_places
from rrr_core.training.credit import ATTEMPT, credit_named, sampled_tokens
from rrr_core.training.freshness import Freshness
from rrr_core.training.rollout import Rollout
from rrr_core.training.settings import TrainSettings

Group = list[Episode]


@dataclass(frozen=True, slots=True)
class Resampled:
    """The groups of a batch after resampling."""

    groups: list[Group]
    replaced: int
    """Groups that replaced one of the batch's first groups."""
    tokens: int
    """Sampled in the groups played here, including those replaced in their turn."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The episodes of a generation batch, group by group, their segments marked as trained or not."""

    episodes: list[Episode]
    tokens: int
    """All tokens sampled for it, including those in attempts and replaced groups."""
    stale: float | None
    """Share of the retried failures that passed; None if none was tried again."""
    resampled: float | None
    """Share of the groups that were replaced; None without resampling."""


def resample(
    groups: Sequence[Group],
    is_zero_variance: Callable[[Group], bool],
    further: Callable[[int, int], Sequence[Failure]],
    play: Callable[[Sequence[Failure], int], Sequence[Group]],
    rounds: int,
) -> Resampled:
    """Replace each zero-variance group by a group on a further failure, in at most `rounds` rounds.

    `further(n, round)` gives n failures, or fewer once they run out; `play(failures, round)` gives a group on each. A
    zero-variance group stays once rounds or failures have run out.
    """
    standing, replaced, tokens = list(groups), set[int](), 0
    for number in range(1, rounds + 1):
        places = [place for place, group in enumerate(standing) if is_zero_variance(group)]
        failures = further(len(places), number) if places else []
        for place, group in zip(places, play(failures, number) if failures else [], strict=False):
            standing[place] = group
            replaced.add(place)
            tokens += sum(map(sampled_tokens, group))
        if not failures:
            break
    return Resampled(standing, len(replaced), tokens)


def play_batch(
    rollout: Rollout,
    freshness: Freshness,
    settings: TrainSettings,
    indices: Sequence[int],
    step: int,
    forward_pass: int,
) -> Batch:
    """The episodes on the failures at these indices, each repeated within its group, for a forward pass of a step.

    Some groups are first tries instead, as `settings.consolidate` and `settings.credit` say. A pure function of the
    policy's weights, the settings' seed and the other arguments.
    """
    size, seed = settings.group_size, (settings.seed, step, forward_pass, WHOLE)
    credit = credit_named(settings.credit)
    wanted = [indices[start : start + size] for start in range(0, len(indices), size)]
    first = first_try_places(settings, len(wanted), seed)

    def reflect(failures: Sequence[Failure], *moment: object) -> list[Group]:
        return cut([credit.marked(episode) for episode in rollout.play(failures, (*seed, *moment))])

    def try_first(failures: Sequence[Failure], *moment: object) -> list[Group]:
        return cut([ATTEMPT.marked(episode) for episode in rollout.first_tries(failures, (*seed, *moment))])

    def cut(episodes: Sequence[Episode]) -> list[Group]:
        return [list(episodes[start : start + size]) for start in range(0, len(episodes), size)]

    def played(failures: Sequence[Failure], play: Callable[..., list[Group]]) -> Resampled:
        groups = play(failures) if failures else []
        tokens = sum(sampled_tokens(episode) for group in groups for episode in group)
        if settings.zero_variance != "resample":
            return Resampled(groups, 0, tokens)

        def further(count: int, number: int) -> Sequence[Failure]:
            nonlocal tokens
            more = freshness.further(count, step, forward_pass, number, for_first_tries=play is try_first)
            tokens += more.tokens
            return more.failures

        resampled = resample(
            groups,
            lambda group: not has_signal(group, settings),
            further,
            lambda failures, number: play([one for one in failures for _ in range(size)], "refill", number),
            settings.resample_rounds,
        )
        return Resampled(resampled.groups, resampled.replaced, tokens + resampled.tokens)

    chosen = freshness.choose(
        [index for place, group in enumerate(wanted) if place not in first for index in group], step, forward_pass
    )
    kinds = {
        False: played(chosen.failures, reflect),
        True: played([freshness.failures[index] for place in sorted(first) for index in wanted[place]], try_first),
    }
    groups = {kind: iter(found.groups) for kind, found in kinds.items()}
    replaced = sum(found.replaced for found in kinds.values())
    return Batch(
        [episode for place in range(len(wanted)) for episode in next(groups[place in first])],
        chosen.tokens + sum(found.tokens for found in kinds.values()),
        chosen.stale,
        replaced / len(wanted) if settings.zero_variance == "resample" else None,
    )
