"""Courses of given actions, played through a task's `rrr_step`: for the checks, and for authors' tests."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from rrr_core.hookspecs import Action, Call, Row, Step
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge

Given: TypeAlias = str | Action
"""An action: its text, or its text and calls."""
Act: TypeAlias = tuple[Row, Given]
"""A row, and an action on it."""
Course: TypeAlias = tuple[Row, Sequence[Given]]
"""A row, and the actions to play on it."""
Lead: TypeAlias = Callable[[Sequence[Act], Sequence[Any]], Sequence[Step | Verdict]]
"""What (row, action) pairs lead to from these states, with the abstentions of faults."""
SIMPLE_ACTIONS = ("", "x", "I do not know.")
"""Actions with which a model does nothing."""


def text_of(action: Given) -> str:
    """The text of an action, which its calls follow."""
    return action if isinstance(action, str) else action.text


def calls_of(action: Given) -> tuple[Call, ...]:
    """The calls of an action."""
    return () if isinstance(action, str) else action.calls


def in_words(action: Given) -> str:
    """An action for people: its text, and its calls as JSON."""
    calls = [json.dumps(asdict(call), ensure_ascii=False) for call in calls_of(action)]
    return " ".join(filter(None, [text_of(action), *calls]))


def step_by(judge: Judge, acts: Sequence[Act], states: Sequence[Any]) -> list[Step | Verdict]:
    """What (row, action) pairs lead to from these states, by a judge."""
    texts = [(row, text_of(action)) for row, action in acts]
    return judge.step(texts, states, [calls_of(action) for _, action in acts])


def has_ended(step: Step | Verdict) -> bool:
    """Whether no action can follow: there is an answer, or the plugin was at fault."""
    return isinstance(step, Verdict) or step.answer is not None


def lead_courses(lead: Lead, courses: Sequence[Course]) -> list[list[Step | Verdict]]:
    """What each course's actions lead to, up to the step that ends it.

    The courses are played side by side: the first action of all, then the second, and so on.
    """
    played: list[list[Step | Verdict]] = [[] for _ in courses]
    for number in range(max((len(actions) for _, actions in courses), default=0)):
        acting = [
            place
            for place, (_, actions) in enumerate(courses)
            if number < len(actions) and not (played[place] and has_ended(played[place][-1]))
        ]
        states = [_state(played[place][-1]) if number else None for place in acting]
        steps = lead([(courses[place][0], courses[place][1][number]) for place in acting], states)
        for place, step in zip(acting, steps, strict=True):
            played[place].append(step)
    return played


def _state(step: Step | Verdict) -> Any:
    return None if isinstance(step, Verdict) else step.state


def changed_by_steps(task: Task, rows: Iterable[Row]) -> str:
    """What a `@trusted` `rrr_step` changed of what it got, or nothing: on some rows, and in the examples' courses."""
    if not task.has_steps or not task.steps_trusted:
        return ""
    courses = [(row, SIMPLE_ACTIONS) for row in rows]
    courses += [(each.row, each.actions) for each in task.examples() if not each.hostile]  # type: ignore[misc]
    for row, actions in courses:
        state = None
        for action in actions:
            before = copy.deepcopy((row, state))
            step = task.step(row, state, text_of(action), calls_of(action))
            for what, now, then in (("row", row, before[0]), ("state", state, before[1])):
                if now != then:
                    return f"the {what}, at the action {in_words(action)[:60]!a}"
            if has_ended(step):
                break
            state = _state(step)
    return ""
