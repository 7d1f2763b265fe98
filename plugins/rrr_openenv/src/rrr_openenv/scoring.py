"""The verdict on a course of actions: the environment's own reward, which must be full at the end."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rrr_core import Row, Verdict, failed, passed
from rrr_openenv.options import SUM

LOW, MALFORMED, UNFINISHED = "low score", "malformed answer", "unfinished"
CATEGORIES = (LOW, MALFORMED, UNFINISHED)
TOLERANCE = 1e-9
"""Sums of rewards are floats."""
LONGEST = 200_000
"""Characters of JSON in a course. The core takes states of 262,144, and a longer one would be the plugin's fault."""
TOO_LONG = "a course of more characters than are kept"
"""The answer of such a course, a malformed one."""


class NotTheSameAgain(Exception):
    """The environment shows something else for the same seed and actions, so it cannot be replayed."""


def verify(row: Row, turns: Sequence[Mapping[str, str]]) -> Verdict:
    """Passed if the episode has ended at the full score. Raises whatever the environment raises."""
    led = played(row, turns)
    if not led[-1].done:
        return failed(UNFINISHED, "the episode has not ended")
    rewards = [each.reward for each in led]
    score = sum(rewards) if row["score"] == SUM else rewards[-1]
    if not math.isfinite(score):
        raise ValueError(f"{row['environment']} gave a reward of {score}, which is no number to compare")
    if score >= row["full"] - TOLERANCE:
        return passed()
    return failed(LOW, f"{row['score']} reward {score:.3g}, and {row['full']:.3g} is full")


def played(row: Row, turns: Sequence[Mapping[str, str]]) -> Sequence[Any]:
    """What the actions lead to, the first observation before them. Raises NotTheSameAgain."""
    from rrr_openenv import replay

    led = replay.play(row, [turn["action"] for turn in turns])
    then = [row["seen"], *(turn["seen"] for turn in turns[:-1])]
    for number, (now, before) in enumerate(zip(led, then, strict=False)):
        if now.text != before:
            raise NotTheSameAgain(
                f"{row['environment']} showed {now.text[:100]!r} where it had shown {before[:100]!r} (step {number})"
            )
    return led


def is_too_long(turns: Sequence[Mapping[str, str]]) -> bool:
    """Whether a course has grown beyond LONGEST."""
    return len(json.dumps(turns)) > LONGEST


def answer_of(row: Row, turns: Sequence[Mapping[str, str]]) -> str:
    """What a course comes to, in JSON: its turns, the last without `seen`, and a mark of the row it was played on."""
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
    if keys != [{"action", "seen"}] * (len(turns) - 1) + [{"action"}]:
        return None
    return turns if all(isinstance(text, str) for turn in turns for text in turn.values()) else None


def _mark(row: Row) -> str:
    game = json.dumps([row[name] for name in ("environment", "action", "settings", "reset")], sort_keys=True)
    return hashlib.sha256(game.encode()).hexdigest()[:16]
