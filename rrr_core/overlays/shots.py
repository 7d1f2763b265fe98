"""The overlay `shots`: shows solved rows before each question, for models that do not know the form of an answer.

The rows are the first of the `train` split that have a gold answer; a question is never shown its own. Each is a turn
of the chat: the task's prompt for it, and the gold answer as the assistant's reply.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, takewhile
from typing import Any

from rrr_core.errors import RrrError
from rrr_core.hookspecs import Message, Model, Row, hookimpl
from rrr_core.overlays import option, read_options
from rrr_core.tasks import Task, load_task

LOOKED_AT = 100
"""Rows of the split that are looked at for gold answers."""
OPENING = ("system", "tools")
"""Roles of what stands before a prompt's first turn."""
Asked = str | Sequence[Message] | None


@dataclass(frozen=True)
class ShotsOptions:
    """How many rows are shown, and which."""

    count: int = option(3, "Solved rows shown before each question.", minimum=1, maximum=LOOKED_AT // 2)
    data: str = option("", "Data options of the rows shown, as KEY=VALUE with spaces between.")


@dataclass(frozen=True)
class Shot:
    """A solved row."""

    prompt: Sequence[Message]
    answer: str


@hookimpl
def rrr_configure(options: Mapping[str, str]) -> list[Callable[..., Any]]:
    """A wrapper around the prompt."""
    chosen = read_options("shots", ShotsOptions, options)
    data = _read_data(chosen.data)
    bare = cache(load_task)

    @cache
    def shots(name: str, model: Model) -> list[Shot]:
        try:
            return solved_rows(bare(name), model, chosen.count + 1, data)
        except RrrError as error:
            raise RrrError(f"The overlay 'shots'{f', data={chosen.data}' if data else ''}: {error}") from None

    @hookimpl(wrapper=True)
    def rrr_prompt(task: str, row: Row, model: Model) -> Generator[None, Asked, Asked]:
        given = yield
        if not isinstance(given, str | Sequence) or not all(isinstance(each, str | Mapping) for each in given):
            return given  # The core says what is wrong with it.
        prompt: Sequence[Message] = [{"role": "user", "content": given}] if isinstance(given, str) else given
        own = bare(task).prompt(row, model)
        turns: list[Message] = []
        for shot in [each for each in shots(task, model) if each.prompt != own][: chosen.count]:
            if _opening(shot.prompt) != _opening(own):
                raise RrrError(
                    f"The overlay 'shots' shows all rows under one system message with the same tools, and the task"
                    f" {task!r} has others for each row: leave it out."
                )
            turns += [*shot.prompt[len(_opening(own)) :], {"role": "assistant", "content": shot.answer}]
        start = len(_opening(prompt))
        return [*prompt[:start], *turns, *prompt[start:]]

    return [rrr_prompt]


def solved_rows(task: Task, model: Model, count: int, data: Mapping[str, str]) -> list[Shot]:
    """The first `count` rows of the `train` split that have a gold answer, each with another prompt.

    Raises RrrError for a task in steps or without gold answers, and for a split with fewer than two such rows.
    """
    if task.has_steps:
        raise RrrError(f"it shows answers, and the task {task.name!r} is answered in steps: leave it out.")
    if not task.implements("rrr_gold_answer"):
        raise RrrError(f"it shows gold answers, and the task {task.name!r} has none: leave it out.")
    found: list[Shot] = []
    for row in islice(iter(task.load_dataset("train", data)), LOOKED_AT):
        answer, prompt = task.gold_answer(row), task.prompt(row, model)
        if answer is not None and answer.strip() and all(prompt != each.prompt for each in found):
            found.append(Shot(prompt, answer))
        if len(found) == count:
            break
    if len(found) < 2:
        raise RrrError(
            f"it needs two rows with a gold answer, and found {len(found)} among the first {LOOKED_AT} of the task"
            f" {task.name!r}: leave it out."
        )
    return found


def _opening(prompt: Sequence[Message]) -> list[Message]:
    """What stands before a prompt's first turn."""
    return list(takewhile(lambda each: each.get("role") in OPENING, prompt))


def _read_data(text: str) -> dict[str, str]:
    data: dict[str, str] = {}
    for pair in text.split():
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise RrrError(f"The overlay 'shots': data={text}: expected KEY=VALUE with spaces between.")
        if key in data:
            raise RrrError(f"The overlay 'shots': data={text}: {key!r} is given twice.")
        data[key] = value
    return data
