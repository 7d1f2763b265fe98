"""The overlay `shots`: shows solved rows before each question, for models that do not know the form of an answer.

The rows are the first of the `train` split that have a gold answer; a row is never shown its own. Each is a turn of the
chat: the task's prompt for it, and the gold answer as the assistant's reply.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from rrr_core.errors import RrrError
from rrr_core.hookspecs import Message, Model, Row, hookimpl
from rrr_core.overlays import option, read_options
from rrr_core.tasks import Task, load_task

LOOKED_AT = 100
"""Rows of the split that are looked at for gold answers."""
Asked = str | Sequence[Message] | None


@dataclass(frozen=True)
class ShotsOptions:
    """How many rows are shown, and which."""

    count: int = option(3, "Solved rows shown before each question.", minimum=1, maximum=LOOKED_AT // 2)
    data: str = option("", "Data options of the rows shown, as KEY=VALUE with spaces between.")


@hookimpl
def rrr_configure(options: Mapping[str, str]) -> list[Callable[..., Any]]:
    """A wrapper around the prompt."""
    chosen = read_options("shots", ShotsOptions, options)
    data = _read_data(chosen.data)

    @cache
    def shown(name: str) -> tuple[Task, list[tuple[Row, str]]]:
        task = load_task(name)
        return task, solved_rows(task, chosen.count + 1, data)

    @hookimpl(wrapper=True)
    def rrr_prompt(task: str, row: Row, model: Model) -> Generator[None, Asked, Asked]:
        given = yield
        if not isinstance(given, str | Sequence) or not all(isinstance(each, str | Mapping) for each in given):
            return given  # The core says what is wrong with it.
        prompt: Sequence[Message] = [{"role": "user", "content": given}] if isinstance(given, str) else given
        start = next((place for place, each in enumerate(prompt) if each.get("role") == "user"), len(prompt))
        without_overlays, solved = shown(task)
        turns: list[Message] = []
        for shot, answer in [each for each in solved if each[0] != row][: chosen.count]:
            asked = [each for each in without_overlays.prompt(shot, model) if each["role"] != "system"]
            turns += [*asked, {"role": "assistant", "content": answer}]
        return [*prompt[:start], *turns, *prompt[start:]]

    return [rrr_prompt]


def solved_rows(task: Task, count: int, data: Mapping[str, str]) -> list[tuple[Row, str]]:
    """The first `count` rows of the `train` split that have a gold answer, each with it.

    Raises RrrError for a task in steps or without gold answers, and for a split with fewer than two such rows.
    """
    if task.has_steps:
        raise RrrError(
            f"The overlay 'shots' shows answers, and the task {task.name!r} is answered in steps: leave it out."
        )
    if not task.implements("rrr_gold_answer"):
        raise RrrError(f"The overlay 'shots' shows gold answers, and the task {task.name!r} has none: leave it out.")
    rows = islice(iter(task.load_dataset("train", data)), LOOKED_AT)
    answered = ((row, task.gold_answer(row)) for row in rows)
    found: list[tuple[Row, str]] = list(islice(((row, gold) for row, gold in answered if gold is not None), count))
    if len(found) < 2:
        raise RrrError(
            f"The overlay 'shots' needs two rows with a gold answer, and found {len(found)} among the first {LOOKED_AT}"
            f" of the task {task.name!r}: leave it out."
        )
    return found


def _read_data(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split()]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise RrrError(f"The overlay 'shots': data={text}: expected KEY=VALUE with spaces between.")
    return {key: value for key, _, value in pairs}
