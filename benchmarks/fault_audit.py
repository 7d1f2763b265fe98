"""The audit of a run with injected faults: what must hold for its verdicts, rewards and counts.

Each check yields one line per violation, and nothing if all is well.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from injected_faults import DISTRIBUTION, FAULTS

from rrr_core.episode import Episode, Failure
from rrr_core.hookspecs import Row
from rrr_core.verdicts import Verdict

CLOSE = 1e-5
"""Tolerance: advantages are computed in float32 and saved with six digits."""
TRL_EPSILON = 1e-4
"""What TRL adds to a group's standard deviation (GRPOTrainer)."""


@dataclass(frozen=True)
class Judged:
    """An answer, the fault injected into its judging, and the result."""

    row: Row
    answer: str
    fault: str | None
    """The injected fault, by its name in `FAULTS`."""
    verdict: Verdict
    alone: Verdict | None = None
    """The verdict when judged again with enough time, if the first one timed out without a fault."""

    @property
    def kind(self) -> str:
        """The kind of abstention that must result; empty if none."""
        return FAULTS[self.fault].kind if self.fault else ""

    @property
    def settled(self) -> Verdict:
        """The verdict that counts."""
        return self.alone or self.verdict

    @property
    def is_late(self) -> bool:
        """Whether the verdict timed out without a fault: the machine was busy with something else."""
        return self.verdict.is_abstained and self.verdict.category == "timeout" and self.kind != "timeout"


def wrong_verdicts(judged: Iterable[Judged], without_faults: Iterable[Verdict]) -> Iterator[str]:
    """Each fault is an abstention of its kind with a culprit; every other verdict is the same as without faults."""
    for item, truth in zip(judged, without_faults, strict=True):
        verdict = item.settled
        if item.fault is None:
            if verdict != truth:
                yield f"{item.answer!r} is {truth} without faults, but became {verdict}"
        elif not verdict.is_abstained or verdict.category != item.kind:
            yield f"{item.answer!r}: the fault {item.fault!r} became {verdict}"
        elif DISTRIBUTION not in verdict.detail or "hook rrr_verify" not in verdict.detail:
            yield f"{item.answer!r}: the fault {item.fault!r} is blamed on nobody: {verdict.detail}"


def wrong_failures(failures: Iterable[Failure], mined: Iterable[Judged]) -> Iterator[str]:
    """No failure in the failure set is an attempt with a withheld verdict."""
    withheld = {(repr(item.row), item.answer) for item in mined if item.verdict.is_abstained}
    for failure in failures:
        if (repr(failure.row), failure.attempt) in withheld or not failure.verdict.is_failed:
            yield f"failure {failure.failure_id} is of an attempt that was not judged"


def wrong_rewards(episodes: Sequence[Episode], judged: Sequence[Judged], group_size: int) -> Iterator[str]:
    """A withheld verdict gave no reward and no advantage; the others got those of the rest of their group."""
    answered = [(episode, one.retry) for episode in episodes for one in episode.rounds if one.retry is not None]
    if len(answered) != len(judged):
        yield f"{len(judged)} retries were judged, but {len(answered)} kept"
        return
    for (episode, retry), item in zip(answered, judged, strict=True):
        if (retry.text, retry.verdict) != (item.answer, item.verdict):
            yield f"step {episode.step}: {retry.text!r} was judged {item.verdict}, kept as {retry.verdict}"
    for start in range(0, len(episodes), group_size):
        group = episodes[start : start + group_size]
        if len({(episode.row_index, episode.attempt.text) for episode in group}) > 1:
            yield f"step {group[0].step}: a group has several failures"
        rewards = [episode.last_verdict.reward for episode in group]
        for episode, reward, advantage in zip(group, rewards, advantages(rewards), strict=True):
            given = episode.advantage if episode.advantage is not None else math.nan
            if episode.reward != reward:
                yield f"step {episode.step}: {episode.last_verdict} got the reward {episode.reward}"
            if not math.isclose(given, advantage, abs_tol=CLOSE) or (reward is None and given):
                yield f"step {episode.step}: {episode.last_verdict} got the advantage {given}, not {advantage}"


def advantages(rewards: Sequence[float | None]) -> list[float]:
    """A group's advantages by GRPO's definition over its existing rewards; 0 without a reward.

    >>> [round(advantage, 2) for advantage in advantages([1.0, 0.0, None, 0.0])]
    [1.15, -0.58, 0.0, -0.58]
    """
    known = [reward for reward in rewards if reward is not None]
    if len(known) < 2:
        return [0.0] * len(rewards)
    mean, deviation = statistics.fmean(known), statistics.stdev(known)
    return [0.0 if reward is None else (reward - mean) / (deviation + TRL_EPSILON) for reward in rewards]


def wrong_counts(
    judged: Sequence[Judged],
    metrics: Sequence[Mapping[str, Any]],
    summary_abstentions: int,
    steps: int,
    unanswered: Mapping[int, int] | None = None,
) -> Iterator[str]:
    """The metrics of each step and the run's summary count the injected faults and the late verdicts.

    `unanswered` counts a step's turns without a retry, which failed without being judged.
    """
    unanswered = unanswered or {}
    per_step = (len(judged) + sum(unanswered.values())) // steps
    if [record["step"] for record in metrics] != list(range(1, steps + 1)):
        yield f"there are metrics for the steps {[record['step'] for record in metrics]}, not of 1 to {steps}"
        return
    left = list(judged)
    for record in metrics:
        unjudged = unanswered.get(record["step"], 0)
        items, left = left[: per_step - unjudged], left[per_step - unjudged :]
        expected = sum(item.fault is not None or item.is_late for item in items)
        if record["abstentions"] != expected:
            yield f"step {record['step']}: {expected} faults, but metrics count {record['abstentions']} abstentions"
        rewards = [0.0] * unjudged + [item.verdict.reward for item in items if item.verdict.reward is not None]
        if rewards and not math.isclose(record["reward"], statistics.fmean(rewards), abs_tol=CLOSE):
            yield f"step {record['step']}: the mean reward is {record['reward']}, not {statistics.fmean(rewards)}"
    expected = sum(item.fault is not None or item.is_late for item in judged)
    if summary_abstentions != expected:
        yield f"{expected} faults, but the summary counts {summary_abstentions} abstentions"


def counted(judged: Sequence[Judged]) -> dict[str, Any]:
    """What was injected and what was seen, by fault and by kind."""
    verdicts = [item.settled for item in judged]
    injected = Counter(item.kind for item in judged if item.fault)
    seen = Counter(verdict.category for verdict in verdicts if verdict.is_abstained)
    return {
        "verdicts": len(judged),
        "faults": sum(injected.values()),
        "share": round(sum(injected.values()) / len(judged), 4),
        "kinds": {
            kind: {"injected": injected[kind], "seen": seen[kind]} for kind in sorted(injected.keys() | seen.keys())
        },
        "by fault": {name: sum(item.fault == name for item in judged) for name in FAULTS},
        "never injected": [name for name in FAULTS if all(item.fault != name for item in judged)],
        "late on a busy machine": sum(item.is_late for item in judged),
    }
