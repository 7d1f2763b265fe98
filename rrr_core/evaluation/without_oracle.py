"""The figures of deciding without an oracle: a pure function of an evaluation's episodes.

Every row has a first answer and a second, sampled whether or not it was needed. So a decider is a choice between the
two for each row, and all deciders, the oracle included, are compared on the same rows and the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rrr_core.episode import Decision, Episode, total_length
from rrr_core.evaluation.deciding import ALWAYS, ORACLE
from rrr_core.evaluation.statistics import Difference, Proportion, paired_difference, wilson


@dataclass(frozen=True, slots=True)
class Answered:
    """A row with both answers, as deciders are counted on."""

    first: bool
    """Whether the first answer is right."""
    second: bool
    """Whether the second is."""
    first_tokens: int | None
    retry_tokens: int | None
    """Of reflection and retry."""
    decisions: Mapping[str, Decision]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that the evaluated model writes, per row; prompts are not counted, nor what another model writes."""

    first_try: float
    deciding: float
    retrying: float
    """Reflections and retries of the rows that are retried."""
    total: float


@dataclass(frozen=True, slots=True)
class Decided:
    """How one decider does. Shares are of `rows`, unless it says otherwise."""

    rows: int
    """Rows with a verdict on both answers."""
    undecided: Proportion
    """Rows on which it could not decide, whose first answer is kept."""
    retried_right: Proportion | None
    """Of the rows that are right at first, those that it retries; None if there are none."""
    retried_wrong: Proportion | None
    """Of the rows that are wrong at first, those that it retries; None if there are none."""
    right_to_wrong: Proportion
    wrong_to_right: Proportion
    right: Proportion
    """Rows that are right in the end."""
    gain: Difference
    """Right in the end minus right at first, on the same rows."""
    lost: Difference
    """What the oracle gains beyond it: right in the end with the oracle, minus with this decider."""
    tokens: Tokens | None
    """None if the engine does not count them."""


def answered(episode: Episode) -> Answered | None:
    """The row as deciders are counted on; None without a verdict on both of its answers."""
    if episode.verdict.is_abstained or not episode.decisions:
        return None
    first = episode.verdict.is_passed
    second = episode.unneeded_verdict if first else episode.second_verdict
    if second is None or second.is_abstained:
        return None
    again = [each for each in episode.unneeded if not each.is_read] if first else episode.rounds[0].written
    return Answered(first, second.is_passed, total_length(episode.attempts), total_length(again), episode.decisions)


def decider_figures(rows: Sequence[Answered]) -> dict[str, Decided]:
    """Decider → its figures, after those of the oracle and of always retrying; empty without rows."""
    if not rows:
        return {}
    policies: dict[str, Callable[[Answered], Decision]] = {
        ORACLE: lambda row: Decision("keep" if row.first else "retry"),
        ALWAYS: lambda _: Decision("retry"),
    }
    for name in rows[0].decisions:
        policies[name] = lambda row, name=name: row.decisions[name]  # type: ignore[misc]
    return {name: _decided(rows, [policy(row) for row in rows]) for name, policy in policies.items()}


def _decided(rows: Sequence[Answered], decisions: Sequence[Decision]) -> Decided:
    first = [row.first for row in rows]
    end = [row.second if made.retries else row.first for row, made in zip(rows, decisions, strict=True)]
    oracle = [row.first or row.second for row in rows]
    of = {
        right: [made.retries for row, made in zip(rows, decisions, strict=True) if row.first is right]
        for right in (True, False)
    }
    return Decided(
        rows=len(rows),
        undecided=_share([made.choice == "undecided" for made in decisions]),
        retried_right=_share(of[True]) if of[True] else None,
        retried_wrong=_share(of[False]) if of[False] else None,
        right_to_wrong=_share([before and not after for before, after in zip(first, end, strict=True)]),
        wrong_to_right=_share([after and not before for before, after in zip(first, end, strict=True)]),
        right=_share(end),
        gain=_difference(first, end),
        lost=_difference(end, oracle),
        tokens=_tokens(rows, decisions),
    )


def _share(holds: Sequence[bool]) -> Proportion:
    return wilson(sum(holds), len(holds))


def _difference(one: Sequence[bool], other: Sequence[bool]) -> Difference:
    pairs = list(zip(one, other, strict=True))
    counts = [pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))]
    return paired_difference(*counts)


def _tokens(rows: Sequence[Answered], decisions: Sequence[Decision]) -> Tokens | None:
    deciding = [made.tokens for made in decisions]
    retrying = [row.retry_tokens if made.retries else 0 for row, made in zip(rows, decisions, strict=True)]
    kinds = [[row.first_tokens for row in rows], deciding, retrying]
    if any(count is None for counts in kinds for count in counts):
        return None
    first, decided, retried = (fmean(count for count in counts if count is not None) for counts in kinds)
    return Tokens(first, decided, retried, first + decided + retried)
