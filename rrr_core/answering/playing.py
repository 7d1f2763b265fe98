"""An answer as it is played: one text, or a course of actions, each after the first on what the one before led to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from rrr_core.config.limits import STEPS
from rrr_core.episode import Episode, Generation, Role, Segment, written
from rrr_core.episode.calls import RESULT_ROLE
from rrr_core.errors import RrrError
from rrr_core.hookspecs import Message, Step
from rrr_core.tasks import Task
from rrr_core.verdicts import CUT_OFF, EMPTY, FULL, STEP_LIMIT, Verdict, failed
from rrr_core.verification import Judge
from rrr_core.verification.judge import without_verifier

Draw = Callable[[str, Sequence[Episode]], list[Generation]]
"""Samples a text to follow each episode, in the stage of that name."""
Write = Callable[[Role, Sequence[Episode], Sequence[Generation]], list[Segment]]
"""The segments of what was drawn to follow each episode."""
Follow = Callable[[Sequence[Episode], Sequence[Segment]], list[Segment]]
"""What is read after each episode, as it is kept."""
OnPlaces = Callable[[Sequence[int]], None]
"""Called, before texts are drawn, with the places among all courses of those that they follow."""
Fits = Callable[[Episode], bool]
"""Whether the model's context leaves room for a text after an episode. Asked of courses alone."""
ReadCalls = Callable[[Generation, Sequence[Message]], Generation]
"""An action with its calls apart, given the row's prompt: an engine's `read_calls`."""


def check_max_steps(tasks: Sequence[Task], max_steps: int) -> None:
    """Raise RrrError for a step limit that would do nothing: of tasks that all answer at once."""
    if max_steps != STEPS and not any(task.has_steps for task in tasks):
        name = tasks[0].name
        raise RrrError(f"The task {name!r} does not act in steps, so --max-steps would do nothing: leave it out.")


def texts_per_answer(task: Task, max_steps: int) -> int:
    """Most texts that the model writes for one answer."""
    return max_steps if task.has_steps else 1


def write_plainly(role: Role, _episodes: Sequence[Episode], made: Sequence[Generation]) -> list[Segment]:
    """Texts without their ids."""
    return [written(role, each) for each in made]


def follow_plainly(_episodes: Sequence[Episode], read: Sequence[Segment]) -> list[Segment]:
    """What is read, as it is."""
    return list(read)


def always_fits(_episode: Episode) -> bool:
    """For a context of unknown length."""
    return True


def no_calls(made: Generation, _prompt: Sequence[Message]) -> Generation:
    """For an engine that reads none."""
    return made


def forget_places(_places: Sequence[int]) -> None:
    """For texts that do not depend on their places."""


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
    fits: Fits = always_fits,
    on_places: OnPlaces = forget_places,
    read_calls: ReadCalls = no_calls,
) -> list[Episode]:
    """Each episode, which ends in a request, with a judged answer to it.

    A task without steps is answered by one text; with steps, by a course as `play_courses` plays it, whose last action
    carries the verdict.
    """
    if not asked:
        return []
    if task.has_steps:
        return _judged(
            judge,
            play_courses(judge, role, asked, draw, stage, max_steps, write, follow, fits, on_places, read_calls),
        )
    made = draw(stage, asked)
    segments = write(role, asked, made)
    verdicts = judge.judge_written([(each.row, one) for each, one in zip(asked, made, strict=True)])
    return [
        each.extended(replace(one, verdict=verdict))
        for each, one, verdict in zip(asked, segments, verdicts, strict=True)
    ]


def play_courses(
    judge: Judge,
    role: Role,
    asked: Sequence[Episode],
    draw: Draw,
    stage: str,
    max_steps: int,
    write: Write = write_plainly,
    follow: Follow = follow_plainly,
    fits: Fits = always_fits,
    on_places: OnPlaces = forget_places,
    read_calls: ReadCalls = no_calls,
) -> list[Episode]:
    """Each episode with a course of actions after it; a course that came to an answer is yet to be judged.

    Every action but the last is followed by an observation. A course that is cut off, fills the context, makes a step
    too long, comes to a blank answer, or to none within `max_steps`, has failed without a verifier; a fault of
    `rrr_step` withholds its verdict. The stages after the first are called `{stage}, step 2` and so on.
    """
    courses = list(asked)
    states: list[Any] = [None] * len(courses)
    open_places = []
    for place, course in enumerate(courses):
        if fits(course):
            open_places.append(place)
        else:
            courses[place] = course.extended(Segment(role, judged="", verdict=FULL))
    number = 1
    while open_places:
        before = [courses[place] for place in open_places]
        on_places(open_places)
        made = draw(stage if number == 1 else f"{stage}, step {number}".removeprefix(", "), before)
        made = [read_calls(one, each.prompt) for each, one in zip(before, made, strict=True)]
        ended = [courses[place].segments[-1].verdict for place in set(range(len(courses))).difference(open_places)]
        waiting = sum(verdict is None or not verdict.is_abstained for verdict in ended)
        led = _steps(judge, before, made, [states[place] for place in open_places], waiting)
        going_on: dict[int, Segment] = {}
        for place, action, step in zip(open_places, write(role, before, made), led, strict=True):
            if isinstance(step, Step) and step.answer is None and number < max_steps:
                states[place] = step.state
                speaker = RESULT_ROLE if action.calls else "user"
                going_on[place] = Segment("observation", ({"role": speaker, "content": step.observation},))
                courses[place] = courses[place].extended(action)
            else:
                courses[place] = courses[place].extended(_last(action, step, max_steps))
        read = follow([courses[place] for place in going_on], list(going_on.values()))
        open_places = []
        for place, observation in zip(going_on, read, strict=True):
            followed = courses[place].extended(observation)
            if fits(followed):
                courses[place] = followed
                open_places.append(place)
            else:
                courses[place] = courses[place].ending_in(judged="", verdict=FULL)
        number += 1
    decided = (course.segments[-1].verdict for course in courses)
    judge.count_decided(verdict for verdict in decided if verdict is not None)
    return courses


def _last(action: Segment, step: Step | Verdict, max_steps: int) -> Segment:
    """The last action of a course, with what is judged of it, or the verdict that needs no verifier."""
    if isinstance(step, Verdict):
        return replace(action, judged="", verdict=step)
    if step.answer is None:
        return replace(action, judged="", verdict=failed(STEP_LIMIT, f"no answer within {max_steps} steps"))
    if not step.answer.strip():
        return replace(action, judged="", verdict=failed(EMPTY, "the course came to a blank answer"))
    return replace(action, judged=step.answer)


def _steps(
    judge: Judge, episodes: Sequence[Episode], made: Sequence[Generation], states: Sequence[Any], waiting: int
) -> Iterator[Step | Verdict]:
    """What each action leads to, or the verdict on a course that it ends without an answer to judge.

    `waiting` are the other courses, ended or not, whose verdicts the judge has not counted.
    """
    judge.unanswered.count(made)
    early = [without_verifier(each) or _cut_off(each) for each in made]
    acted = [place for place, verdict in enumerate(early) if verdict is None]
    led = iter(
        judge.step(
            [(episodes[place].row, made[place].text) for place in acted],
            [states[place] for place in acted],
            [made[place].calls for place in acted],
            waiting + sum(verdict is not None and verdict.is_failed for verdict in early),
        )
    )
    return (next(led) if verdict is None else verdict for verdict in early)


def _cut_off(made: Generation) -> Verdict | None:
    """The verdict on an action that the token limit ended: half an action is none."""
    return failed(CUT_OFF, "the token limit ended an action") if made.is_cut_off else None


def _judged(judge: Judge, courses: Sequence[Episode]) -> list[Episode]:
    """The courses, those with a verdict that have come to an answer."""
    judged = list(courses)
    finals = [place for place, each in enumerate(judged) if each.segments[-1].verdict is None]
    verdicts = judge.judge([(judged[place].row, judged[place].segments[-1].answer) for place in finals])
    for place, verdict in zip(finals, verdicts, strict=True):
        judged[place] = judged[place].ending_in(verdict=verdict)
    return judged
