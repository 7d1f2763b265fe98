"""The verdict on replies: the environment's own rewards, which must add up to the full score."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rrr_core import Row, Verdict, failed, passed

WRONG, MALFORMED, UNFINISHED = "wrong answer", "malformed answer", "unfinished"
CATEGORIES = (WRONG, MALFORMED, UNFINISHED)
TOLERANCE = 1e-9
"""Sums of weights are floats."""
LONGEST = 200_000
"""Characters of JSON in a course. The core takes states of 262,144, and a longer one would be the plugin's fault."""
TOO_LONG = "a course of more characters than are kept"
"""The answer of such a course, a malformed one."""


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
    if not math.isfinite(total):
        raise ValueError(f"{row['taskset']} gave a score of {total}, which is no number to compare")
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


def is_too_long(turns: Sequence[Mapping[str, str]]) -> bool:
    """Whether a course has grown beyond LONGEST."""
    return len(json.dumps(turns)) > LONGEST


def answer_of(row: Row, turns: Sequence[Mapping[str, str]]) -> str:
    """What a course comes to, in JSON: its turns, the last without `said`, and a mark of the row it was played on."""
    return json.dumps({"row": _mark(row), "turns": turns})


def turns_of(row: Row, answer: str) -> list[dict[str, str]] | None:
    """The turns of `answer_of`; None for other text and for another row's course."""
    try:
        course = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(course, dict) or set(course) != {"row", "turns"} or course["row"] != _mark(row):
        return None
    turns = course["turns"]
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
        return None
    keys = [set(turn) for turn in turns]
    if keys != [{"reply", "said"}] * (len(turns) - 1) + [{"reply"}]:
        return None
    return turns if all(isinstance(text, str) for turn in turns for text in turn.values()) else None


def _mark(row: Row) -> str:
    game = json.dumps([row[name] for name in ("taskset", "config", "data")], sort_keys=True)
    return hashlib.sha256(game.encode()).hexdigest()[:16]


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
