"""The check of the rewards that a task gives beside its verdicts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

from rrr_core.conformance.results import Faulty, NotApplicable, Seen, Violation
from rrr_core.conformance.subject import REWARDS, Judged, Pair, Subject, excerpt
from rrr_core.conformance.verdict_checks import judged_examples, judged_gold, judged_hostile, judged_malformed
from rrr_core.verdicts import Verdict

NAME = "check_rewards_are_sound"
GOLD_ANSWERS = 100


def check_rewards_are_sound(subject: Subject) -> Seen:
    """Every reward is a number from 0 to 1 or None, whatever the answer, and the same when asked again."""
    if not subject.task.gives_rewards:
        raise NotApplicable("there is no hook rrr_reward.")
    examples = judged_examples(subject)
    judged = [*examples, *judged_malformed(subject), *judged_hostile(subject)]
    if subject.gold:
        judged += judged_gold(subject)[:GOLD_ANSWERS]
    pairs = [(each.row, each.answer) for each in judged]
    first = _rewarded(subject, pairs, REWARDS)
    if subject.manifest is None or subject.manifest.deterministic:
        _check_same(pairs, first, _rewarded(subject, pairs[::-1], REWARDS)[::-1], "asked again in another order")
        _check_same(pairs, first, _rewarded(subject, pairs, f"{REWARDS} elsewhere"), "asked in another process")
    scores = [verdict.score for verdict in first if verdict.score is not None]
    note = f"{len(pairs):,} answers, {len(scores):,} of them with a number"
    advice = _advice(examples, first[: len(examples)])
    return Seen(f"{note}; {advice}" if advice else note)


def _rewarded(subject: Subject, pairs: Sequence[Pair], judge: str) -> list[Verdict]:
    """The verdicts with their scores. Raises Faulty for the first one withheld."""
    verdicts = subject.judged_again(pairs, judge)
    for (_, answer), verdict in zip(pairs, verdicts, strict=True):
        if verdict.is_abstained:
            raise Faulty(
                NAME,
                f"{verdict.detail} ({verdict.category}), on the answer {excerpt(answer)}. Give a number from 0 to 1, or"
                " None, for every answer, quickly and without raising.",
            )
    return verdicts


def _check_same(pairs: Sequence[Pair], first: Sequence[Verdict], again: Sequence[Verdict], how: str) -> None:
    for (_, answer), one, other in zip(pairs, first, again, strict=True):
        if one.outcome == other.outcome and one.score != other.score:
            raise Violation(
                f"the answer {excerpt(answer)} gets the reward {_shown(one)}, and {_shown(other)} when {how}.",
                "Make the reward a function of row and answer alone, or say deterministic=False in the Manifest.",
            )


def _shown(verdict: Verdict) -> str:
    return "None" if verdict.score is None else f"{verdict.score:g}"


def _advice(examples: Sequence[Judged], rewarded: Sequence[Verdict]) -> str:
    """A word on a failing example that is paid more than a passing one of its row, or nothing: it may be meant."""
    passing: defaultdict[str, list[float]] = defaultdict(list)
    failing: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for example, verdict in zip(examples, rewarded, strict=True):
        row, reward = json.dumps(example.row, sort_keys=True), verdict.reward or 0.0
        if verdict.is_passed:
            passing[row].append(reward)
        else:
            failing[row].append((reward, example.answer))
    for row in passing.keys() & failing.keys():
        most, answer = max(failing[row])
        if most > min(passing[row]):
            least = min(passing[row])
            return f"the failing example {excerpt(answer)} gets {most:g}, a passing one {least:g}: is that meant?"
    return ""
