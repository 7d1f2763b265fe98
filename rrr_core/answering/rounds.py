"""One round of a conversation held as text: a reflection on each failed answer, and a judged retry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rrr_core.answering.playing import Draw, Fits, ReadCalls, always_fits, no_calls, play_answers
from rrr_core.conversation import reflection_request, retry_request
from rrr_core.episode import Episode, Generation, Segment, written
from rrr_core.hookspecs import Model
from rrr_core.tasks import Task
from rrr_core.verdicts import FULL, no_answer
from rrr_core.verification import Judge


def play_round(
    task: Task,
    model: Model,
    judge: Judge,
    episodes: Sequence[Episode],
    draw: Draw,
    gets_retry: Callable[[Segment], bool] = lambda _: True,
    stages: tuple[str, str] = ("reflection", "retry"),
    max_steps: int = 1,
    fits: Fits = always_fits,
    read_calls: ReadCalls = no_calls,
) -> list[Episode]:
    """Episodes that end in an answer, each with a reflection on it, and a judged retry if the reflection gets one.

    `draw` samples in these two stages, and in those of a retry's later steps. A reflection that the engine had no
    answer to give is nobody's failure: it has that verdict. One after a course that left no room for it has failed. A
    reflection with a verdict gets no retry.
    """
    asked = [each.extended(reflection_request(task, each, model)) for each in episodes]
    has_room = [not task.has_steps or fits(each) for each in asked]
    reflections = draw(stages[0], [each for each, has in zip(asked, has_room, strict=True) if has])
    judge.unanswered.count(reflections)
    coming = iter(reflections)
    played = [
        each.extended(_reflection(next(coming)) if has else Segment("reflection", verdict=FULL))
        for each, has in zip(asked, has_room, strict=True)
    ]
    again = {
        place: each.extended(retry_request(task, each, model))
        for place, each in enumerate(played)
        if each.segments[-1].verdict is None and gets_retry(each.segments[-1])
    }
    retried = play_answers(
        task, judge, "retry", list(again.values()), draw, stages[1], max_steps, fits=fits, read_calls=read_calls
    )
    for place, each in zip(again, retried, strict=True):
        played[place] = each
    return played


def _reflection(made: Generation) -> Segment:
    return written("reflection", made, no_answer(made.missing) if made.missing else None)
