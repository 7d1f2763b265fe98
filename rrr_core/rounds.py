"""One round of a conversation held as text: a reflection on each failed answer, and a judged retry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rrr_core.answering import Draw, Read, play_answers
from rrr_core.conversation import reflection_request, retry_request
from rrr_core.episode import Episode, Segment, written
from rrr_core.hookspecs import Model
from rrr_core.tasks import Task
from rrr_core.verdicts import no_answer
from rrr_core.verification import Judge


def play_round(
    task: Task,
    model: Model,
    judge: Judge,
    episodes: Sequence[Episode],
    draw: Draw,
    gets_retry: Callable[[Segment], bool],
    max_steps: int = 1,
    read_calls: Read | None = None,
) -> list[Episode]:
    """Episodes that end in an answer, each with a reflection on it, and a judged retry if the reflection gets one.

    `draw` samples in the stages `reflection` and `retry`, and in those of a retry's later steps; `read_calls` is as for
    `play_answers`.

    A reflection that the engine had no answer to give is nobody's failure: it has that verdict.
    """
    asked = [each.extended(reflection_request(task, each, model)) for each in episodes]
    reflections = draw("reflection", asked)
    judge.unanswered.count(reflections)
    played = [
        each.extended(written("reflection", made, no_answer(made.missing) if made.missing else None))
        for each, made in zip(asked, reflections, strict=True)
    ]
    again = {
        place: each.extended(retry_request(task, each, model))
        for place, each in enumerate(played)
        if gets_retry(each.segments[-1])
    }
    retried = play_answers(task, judge, "retry", list(again.values()), draw, "retry", max_steps, read_calls=read_calls)
    for place, each in zip(again, retried, strict=True):
        played[place] = each
    return played
