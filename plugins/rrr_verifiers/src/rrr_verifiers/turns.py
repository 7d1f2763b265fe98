"""Task sets written for verifiers 0.4 as a task with steps: the task set's environment answers the model's turns.

The state is what has been said so far. Each step plays the environment again from the beginning with these replies, so
nothing is hidden behind the state, and an environment that does not say the same again is found out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rrr_core import DataOption, Example, Manifest, Message, Row, Verdict, failed, hookimpl
from rrr_core.hookspecs import Step, final, observed
from rrr_verifiers import about, options, rows, scoring
from rrr_verifiers.texts import clean


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
    turns = [*(state or ()), {"reply": clean(action)}]
    if scoring.is_too_long(turns):
        return final(scoring.TOO_LONG)
    said = scoring.next_turn(row, turns)
    if said is None:
        return final(scoring.answer_of(row, turns))
    turns = [*turns[:-1], {**turns[-1], "said": said}]
    return final(scoring.TOO_LONG) if scoring.is_too_long(turns) else observed(said, turns)


@hookimpl
def rrr_verify(row: Row, answer: str) -> Verdict:
    turns = scoring.turns_of(row, answer)
    if turns is None:
        return failed(scoring.MALFORMED, "not a course of replies to this row")
    return scoring.verify(row, [turn["reply"] for turn in turns], [turn.get("said") for turn in turns[:-1]])


@hookimpl
def rrr_examples(task: str) -> Iterable[Example]:
    return about.examples(task)


@hookimpl
def rrr_manifest(task: str) -> Manifest:
    return about.manifest(task)
