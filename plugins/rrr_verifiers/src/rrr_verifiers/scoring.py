"""The verdict on replies: the environment's own rewards, which must add up to the full score."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rrr_core import Row, Verdict, failed, passed

WRONG, MALFORMED, UNFINISHED = "wrong answer", "malformed answer", "unfinished"
CATEGORIES = (WRONG, MALFORMED, UNFINISHED)
TOLERANCE = 1e-9
"""Sums of weights are floats."""


class NotTheSameAgain(Exception):
    """The environment says something else for the same replies, so it cannot be replayed."""


def verify(row: Row, replies: Sequence[str], said: Sequence[str | None] | None = None) -> Verdict:
    """Passed at the full score. `said` is what the environment had said after each reply but the last.

    Raises whatever the environment raises: the core then withholds the verdict.
    """
    course = _played(row, replies)
    _compare(row, course.said, said)
    if course.waits:
        return failed(UNFINISHED, "the environment waits for another reply")
    full, total = full_score(row, course.scores), sum(score * weight for score, weight in course.scores.values())
    if total >= full - TOLERANCE:
        return passed()
    parts = ", ".join(f"{name} {score:.3g}" for name, (score, _) in sorted(course.scores.items()))
    return failed(WRONG, f"a score of {total:.3g}, and {full:.3g} is full: {parts}")


def next_turn(row: Row, turns: Sequence[Mapping[str, str]]) -> str | None:
    """What the environment says after these turns; None if it has ended."""
    course = _played(row, [turn["reply"] for turn in turns])
    _compare(row, course.said, [turn["said"] for turn in turns[:-1]])
    return course.said[-1] if course.waits else None


def full_score(row: Row, scores: Mapping[str, tuple[float, float]]) -> float:
    """What `--data full` says, or the sum of the positive weights, where no reward may score above 1."""
    if row["full"] is not None:
        return float(row["full"])
    above = [f"{name} scores {score:g}" for name, (score, weight) in scores.items() if weight > 0 and score > 1]
    if above:
        raise ValueError(f"{', '.join(above)}, so 1 is not full: give the full score with --data full=NUMBER")
    full = sum(weight for _, weight in scores.values() if weight > 0)
    if not full:
        raise ValueError("no reward has a positive weight: give the full score with --data full=NUMBER")
    return full


def turns_of(answer: str) -> list[dict[str, str]] | None:
    """A course in `rrr_step`'s JSON, `[{"reply": …, "said": …}, …]`, the last without `said`; None for other text."""
    try:
        turns = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(turns, list) or not turns:
        return None
    for turn in turns:
        if not isinstance(turn, dict) or not all(isinstance(text, str) for text in turn.values()):
            return None
    keys = [set(turn) for turn in turns]
    return turns if keys == [{"reply", "said"}] * (len(turns) - 1) + [{"reply"}] else None


def _played(row: Row, replies: Sequence[str]) -> Any:
    from rrr_verifiers import replay

    env = replay.environment(row["taskset"], row["config"])
    return replay.play(env, replay.task_of(env, row["data"]), replies)


def _compare(row: Row, now: Sequence[str], then: Sequence[str | None] | None) -> None:
    """Raise NotTheSameAgain if the environment does not say what it said when the row was made and in each turn."""
    before = [row["opening"]] if row["opening"] is not None else []
    before += [] if then is None else [text or "" for text in then]
    for number, (one, other) in enumerate(zip(now, before, strict=False)):
        if one != other:
            raise NotTheSameAgain(f"{row['taskset']} said {one[:100]!r} where it had said {other[:100]!r} ({number})")
