"""The task's description of itself, and courses with known verdicts on the environment that comes with the plugin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version

from rrr_core import Example, Manifest
from rrr_openenv import scoring


def manifest() -> Manifest:
    """The manifest. Rows have their environment's licence, which the plugin cannot know."""
    return Manifest(
        summary="An environment written for OpenEnv, played step by step; the full score passes",
        source="the environment named by --data environment, reset with each row's seed",
        revision=f"openenv {version('openenv')}",
        data_license="NOASSERTION",
        categories=scoring.CATEGORIES,
    )


def examples(task: str) -> Iterator[Example]:
    """Courses that open a lock, and ones that do not. Making the row imports openenv before workers are forked."""
    from rrr_openenv import maker, replay

    row = next(maker.rows(task, "train", {}))
    tries = [json.dumps({"number": number}) for number in range(1, 10)]
    led = [replay.play(row, [text])[-1] for text in tries]
    (right,) = (text for text, each in zip(tries, led, strict=True) if each.done)
    wrong, shown = next((text, each.text) for text, each in zip(tries, led, strict=True) if not each.done)

    def course(*turns: dict[str, str]) -> str:
        return scoring.answer_of(row, turns)

    huge = json.dumps({"number": 10**4000})
    yield Example(row, course({"action": right}), "passed", reason="the number", actions=(right,))
    second = course({"action": wrong, "seen": shown}, {"action": right})
    yield Example(row, second, "passed", reason="the number at the second try", actions=(wrong, right))
    yield Example(row, course({"action": wrong}), "failed", scoring.UNFINISHED, "another number")
    yield Example(row, course({"action": "open"}), "failed", scoring.UNFINISHED, "no action")
    yield Example(row, right, "failed", scoring.MALFORMED, "an action and no course")
    yield Example(row, scoring.TOO_LONG, "failed", scoring.MALFORMED, "too long a course")
    yield Example(row, "[" * 50_000, "failed", scoring.MALFORMED, "brackets never closed", hostile=True)
    yield Example(row, course({"action": huge}), "failed", scoring.UNFINISHED, "four thousand digits", hostile=True)
    yield Example(row, course({"action": "{" * 50_000}), "failed", scoring.UNFINISHED, "braces", hostile=True)
