"""An answer as it is played: one text, or a course of actions, each after the first on what the one before led to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rrr_core.config.limits import MAX_STEPS
from rrr_core.episode import Episode, Generation, Role, Segment, written
from rrr_core.errors import RrrError
from rrr_core.hookspecs import Step
from rrr_core.tasks import Task
from rrr_core.verdicts import CUT_OFF, STEP_LIMIT, Verdict, failed
from rrr_core.verification import Judge
from rrr_core.verification.judge import without_verifier

Draw = Callable[[str, Sequence[Episode]], list[Generation]]
"""Samples a text to follow each episode, in the stage of that name."""
Write = Callable[[Role, Sequence[Episode], Sequence[Generation]], list[Segment]]
"""The segments of what was drawn to follow each episode."""
Follow = Callable[[Sequence[Episode], Sequence[Segment], Sequence[int]], list[Segment]]
"""What is read after each episode, as it is kept. The numbers are the places, among all courses, of those that go on:
the next texts are theirs."""


def write_plainly(role: Role, _episodes: Sequence[Episode], made: Sequence[Generation]) -> list[Segment]:
    """Texts without their ids."""
    return [written(role, each) for each in made]


def follow_plainly(_episodes: Sequence[Episode], read: Sequence[Segment], _places: Sequence[int]) -> list[Segment]:
    """What is read, as it is."""
    return list(read)


def check_steps(task: Task, max_steps: int) -> None:
    """Raise RrrError for a limit of steps that somebody set, where the task has none."""
    if not task.has_steps and max_steps != MAX_STEPS:
        raise RrrError(
            f"--max-steps {max_steps} would change nothing: the task {task.name!r} has no steps ({task.distribution}"
            f" {task.version} does not implement rrr_step): leave it out."
        )


def play_answers(
    task: Task,
    judge: Judge,
    role: Role,
    asked: Sequence[Episode],
    draw: Draw,
    stage: str,
    max_steps: int = 1,
    write: Write = write_plainly,
    follow: Follow = follow_plainly,
) -> list[Episode]:
    """Each episode, which ends in a request, with a judged answer to it.

    A task without steps is answered by one text. With steps, every action but the last is followed by an observation,
    and the last one carries the verdict. A course that is cut off, or that has no answer within `max_steps`, has failed
    without a verifier; a fault of `rrr_step` withholds its verdict.
    """
    courses = list(asked)
    open_places, states = list(range(len(courses))), [None] * len(courses)
    for number in range(1, max_steps + 1 if task.has_steps else 2):
        if not open_places:
            break
        before = [courses[place] for place in open_places]
        made = draw(stage if number == 1 else f"{stage}, step {number}", before)
        segments = write(role, before, made)
        if not task.has_steps:
            verdicts = judge.judge_written([(each.row, one) for each, one in zip(before, made, strict=True)])
            ended = [replace(one, verdict=verdict) for one, verdict in zip(segments, verdicts, strict=True)]
            return [each.extended(one) for each, one in zip(before, ended, strict=True)]
        led = _steps(judge, before, made, [states[place] for place in open_places])
        is_last = number == max_steps
        going_on, finals = [], []
        for place, one, step in zip(open_places, segments, led, strict=True):
            if isinstance(step, Verdict):
                courses[place] = courses[place].extended(replace(one, judged="", verdict=step))
            elif step.answer is not None:
                courses[place] = courses[place].extended(replace(one, judged=step.answer))
                finals.append(place)
            elif is_last:
                verdict = failed(STEP_LIMIT, f"no answer within {max_steps} steps")
                courses[place] = courses[place].extended(replace(one, judged="", verdict=verdict))
            else:
                courses[place], states[place] = courses[place].extended(one), step.state
                going_on.append((place, Segment("observation", ({"role": "user", "content": step.observation},))))
        _judge_finals(judge, courses, finals)
        open_places = [place for place, _ in going_on]
        read = follow([courses[place] for place in open_places], [each for _, each in going_on], open_places)
        for place, observation in zip(open_places, read, strict=True):
            courses[place] = courses[place].extended(observation)
    return courses


def _steps(
    judge: Judge, episodes: Sequence[Episode], made: Sequence[Generation], states: Sequence[Any]
) -> list[Step | Verdict]:
    """What each action leads to, or the verdict on a course that it ends without an answer to judge."""
    judge.unanswered.count(made)
    early = [without_verifier(each) or _cut_off(each) for each in made]
    acted = [place for place, verdict in enumerate(early) if verdict is None]
    led = iter(
        judge.step([(episodes[place].row, made[place].text) for place in acted], [states[place] for place in acted])
    )
    return [next(led) if verdict is None else verdict for verdict in early]


def _cut_off(made: Generation) -> Verdict | None:
    """The verdict on an action that the token limit ended: half an action is none."""
    return failed(CUT_OFF, "the token limit ended an action") if made.is_cut_off else None


def _judge_finals(judge: Judge, courses: list[Episode], finals: Sequence[int]) -> None:
    """Put the verdicts on the courses that have come to an answer."""
    verdicts = judge.judge([(courses[place].row, courses[place].segments[-1].answer) for place in finals])
    for place, verdict in zip(finals, verdicts, strict=True):
        *before, last = courses[place].segments
        courses[place] = replace(courses[place], segments=(*before, replace(last, verdict=verdict)))
