"""Environments written for OpenEnv 0.10 as a task with steps: `--data environment=MODULE:CLASS`.

The state of a course is its actions and what was seen. Each step plays the environment again from its reset, so nothing
is hidden behind the state, and an environment that does not show the same again is found out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rrr_core import DataOption, Example, Manifest, Message, Row, Verdict, failed, hookimpl
from rrr_core.hookspecs import Step, final, observed
from rrr_openenv import about, options, rows, scoring
from rrr_openenv.texts import clean


@hookimpl
def rrr_load_dataset(task: str, split: str, options: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    return rows.load(task, split, options)


@hookimpl
def rrr_data_options() -> Iterable[DataOption]:
    return options.DECLARED


@hookimpl
def rrr_prompt(row: Row) -> Sequence[Message]:
    messages: Sequence[Message] = row["messages"]
    return messages


@hookimpl
def rrr_step(row: Row, state: Any, action: str) -> Step:
    turns = [*(state or ()), {"action": clean(action)}]
    if scoring.is_too_long(turns):
        return final(scoring.TOO_LONG)
    led = scoring.played(row, turns)[-1]
    if led.done:
        return final(scoring.answer_of(row, turns))
    turns = [*turns[:-1], {**turns[-1], "seen": led.text}]
    return final(scoring.TOO_LONG) if scoring.is_too_long(turns) else observed(led.text, turns)


@hookimpl
def rrr_verify(row: Row, answer: str) -> Verdict:
    turns = scoring.turns_of(row, answer)
    if turns is None:
        return failed(scoring.MALFORMED, "not a course of actions on this row")
    return scoring.verify(row, turns)


@hookimpl
def rrr_examples(task: str) -> Iterable[Example]:
    return about.examples(task)


@hookimpl
def rrr_manifest() -> Manifest:
    return about.manifest()
