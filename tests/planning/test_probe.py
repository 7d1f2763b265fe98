"""A probe keeps to its time, whatever the model and the task: each test counts the seconds of a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_core.episode import Generation
from rrr_core.evaluation import EvalSettings
from rrr_core.generation import ModelSettings
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.hookspecs import Message, Model, Row, Step, hookimpl, observed, trusted
from rrr_core.mining import MineSettings
from rrr_core.pipeline import RunSettings
from rrr_core.pipeline.opening import OpenTask
from rrr_core.planning.budget import FEWEST_ROWS, FEWEST_TOKENS, Budget
from rrr_core.planning.lengths import Lengths, Limits
from rrr_core.planning.probe import Player, Probed
from rrr_core.planning.rendered import Rendered
from rrr_core.tasks import Task
from rrr_core.tasks.settings import TaskSettings
from rrr_core.training.settings import TrainSettings
from rrr_core.verdicts import Verdict, failed, passed
from tests.fakes import numbers_task, task_of

LIMITS = Limits(200, 200, 200)


class Writer(Engine):
    """Writes texts of so many tokens, as far as it may; its clock moves with a token, and with the root of the rows."""

    model = Model("writer")

    def __init__(self, tokens: int, seconds: float) -> None:
        self.tokens, self.seconds, self.now, self.asked = tokens, seconds, 0.0, list[int]()

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        written = min(self.tokens, sampling.max_tokens)
        self.now += written * self.seconds * len(conversations) ** 0.5
        self.asked.append(len(conversations))
        finish = "stop" if written == self.tokens else "length"
        return [Generation("wrong", tuple(range(written)), finish) for _ in conversations]

    def describe(self) -> dict[str, object]:
        return {"model": "writer"}


@hookimpl
def rrr_load_dataset(split: str, options: Mapping[str, str]) -> Iterator[Row]:
    for number in range(100):
        yield {"number": number}


@hookimpl
def rrr_prompt(row: Row) -> str:
    return f"Find number {row['number']}."


@hookimpl
@trusted
def rrr_verify(row: Row, answer: str) -> Verdict:
    return failed("wrong number") if answer else passed()


@hookimpl
@trusted
def rrr_step(row: Row, state: Any, action: str) -> Step:
    return observed("go on", (state or 0) + 1)


def walking_task() -> Task:
    """A task whose courses only end at their last step."""
    return task_of("walking", rrr_load_dataset, rrr_prompt, rrr_verify, rrr_step)


def play(task: Task, engine: Writer, seconds: float, **mine: Any) -> tuple[Probed, Player]:
    chat: Any = SimpleNamespace(tokenizer=lambda text, **_: {"input_ids": list(text)})
    rendered = Rendered(chat, Lengths((10.0,)), 2, 12.0, 8.0, {"train": 100, "test": 100}, extends=True)
    settings = RunSettings(
        TaskSettings(task.name), ModelSettings(), MineSettings(**mine), TrainSettings(), EvalSettings()
    )
    player = Player(OpenTask(task, {}), engine, settings, rendered, LIMITS, seconds, lambda: engine.now)
    return player.play(), player


TASKS = pytest.mark.parametrize("task", [numbers_task(100), walking_task()], ids=["at once", "in steps"])


@TASKS
@pytest.mark.parametrize("tokens", [5, 60, 1000])
@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.2])
def test_a_probe_takes_little_more_than_its_time(task: Task, tokens: int, seconds: float) -> None:
    engine = Writer(tokens, seconds)
    found, _ = play(task, engine, 20.0)
    # What cannot be less: two short calls, and a few tokens of a few rows after that, in each step of a course.
    rounds = 4 * (8 if task.has_steps else 1)
    least = seconds * (2**0.5 * 12 + FEWEST_TOKENS * FEWEST_ROWS**0.5 * rounds)
    assert engine.now <= 20.0 * 1.25 + least
    assert found.texts.attempt.mean > 0
    assert found.texts.reflection.mean > 0


@TASKS
def test_with_time_enough_all_rows_are_tried_and_no_text_is_cut_off(task: Task) -> None:
    engine = Writer(30, 0.0001)
    found, player = play(task, engine, 1000.0)
    assert found.rows == max(engine.asked) == 64
    assert player.cut == 0
    assert not found.is_cut
    assert found.notes == ()


def test_little_time_tries_fewer_rows_before_it_cuts_texts_off() -> None:
    found, player = play(numbers_task(100), Writer(30, 0.004), 40.0)
    assert FEWEST_ROWS <= found.rows < 64
    assert player.cut == 0


def test_what_was_cut_off_counts_as_long_as_it_may_become_and_is_said() -> None:
    found, player = play(numbers_task(100), Writer(1000, 0.2), 20.0)
    assert player.cut > 0
    assert found.texts.attempt.longest == LIMITS.attempt
    assert any("--probe-seconds" in note for note in found.notes)
    assert found.is_cut  # so the plan's range is that of an assumption


def test_courses_are_played_to_their_last_step() -> None:
    found, _ = play(walking_task(), Writer(5, 0.0001), 1000.0, max_steps=3)
    assert found.texts.actions == 3
    assert found.texts.attempt.mean == 15
    assert found.texts.observed == 2 * len("go on")


def test_a_budget_shares_what_is_left_among_the_calls_to_come() -> None:
    now = [0.0]
    budget = Budget(100.0, calls=4, clock=lambda: now[0])
    assert budget.tokens(4, 500) == 500  # nothing is known yet
    now[0] = 20.0
    budget.saw(4, 20, 20.0)
    assert budget.tokens(4, 500) == 26  # a third of 80 seconds, at one a token
    now[0] = 100.0
    assert budget.is_over
    assert budget.tokens(4, 500) == FEWEST_TOKENS
