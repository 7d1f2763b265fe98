"""Training on several tasks at once: each failure is prompted and judged by its own task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from rrr_core.episode import Episode, Failure, Segment
from rrr_core.generation.engine import TokenEngine
from rrr_core.profiling.profile import Profile
from rrr_core.tasks import Task
from rrr_core.training.measures import Tasks
from rrr_core.training.passes import Requests
from rrr_core.training.rollout import Rollout
from rrr_core.training.settings import TrainSettings
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge, VerifySettings

Played = TypeVar("Played", Episode, tuple[Segment, ...])


def by_name(tasks: Task | Sequence[Task]) -> Tasks:
    """The tasks of a training; a sequence of one is that task."""
    given = tasks if isinstance(tasks, Sequence) else [tasks]
    return {task.name if len(given) > 1 else None: task for task in sorted(given, key=lambda task: task.name)}


def identity_of_tasks(tasks: Tasks) -> dict[str, Any]:
    """The part of a training's identity that says on which tasks it is."""
    if None in tasks:
        return {"task": tasks[None].provenance()}
    return {"tasks": {task.name: task.provenance() for task in tasks.values()}}


class Judges:
    """The judges of several tasks, each with its own limit on withheld verdicts."""

    def __init__(self, judges: Mapping[str | None, Judge]) -> None:
        self.by_task = judges

    @property
    def profile(self) -> Profile:
        """Shared by all."""
        return next(iter(self.by_task.values())).profile

    @property
    def abstained(self) -> int:
        return sum(judge.abstained for judge in self.by_task.values())

    def counts(self) -> dict[str, tuple[int, Counter[Verdict]]]:
        """Task, empty if it is the only one → its verdicts so far, and those that were withheld."""
        return {task or "": (judge.judged, judge.withheld) for task, judge in self.by_task.items()}

    def recall(self, counts: Mapping[str, tuple[int, Iterable[Verdict]]]) -> None:
        """Count an earlier call's verdicts, as `counts` gives them."""
        for task, (judged, withheld) in counts.items():
            self.by_task[task or None].recall(judged, withheld)

    def finish(self) -> None:
        """Check the limits at the end. Raises TooManyAbstentions or TooManyWithoutAnswer."""
        for judge in self.by_task.values():
            judge.finish()


@contextmanager
def open_judges(
    tasks: Tasks, settings: TrainSettings, verify: VerifySettings | None, profile: Profile | None = None
) -> Iterator[Judges]:
    """A judge for each task, closed at the end."""
    scores = settings.reward == "task"
    profile = profile or Profile()
    with ExitStack() as stack:
        yield Judges(
            {
                name: stack.enter_context(
                    Judge(task, settings.max_abstain, settings=verify, profile=profile, scores=scores)
                )
                for name, task in tasks.items()
            }
        )


def rollout_of(
    tasks: Tasks,
    engine: TokenEngine,
    judges: Judges,
    settings: TrainSettings,
    shared: Callable[[Rollout], Rollout] = lambda rollout: rollout,
) -> Rollout:
    """The rollout of a training's tasks; `shared` makes that of one task the work of several processes."""
    each = {name: shared(Rollout(task, engine, judges.by_task[name], settings)) for name, task in tasks.items()}
    return each[None] if None in each else RolloutOfSeveral(each)


class RolloutOfSeveral(Rollout):
    """Plays each failure by the rollout of its own task.

    Each task's failures are drawn in calls of their own, with its name in the seed: what is drawn on them does not
    depend on how many of the other tasks' there are.
    """

    def __init__(self, rollouts: Mapping[str | None, Rollout]) -> None:
        one = next(iter(rollouts.values()))
        super().__init__(one.task, one.engine, one.judge, one.settings)
        self.rollouts = rollouts

    def play(
        self, failures: Sequence[Failure], seed: tuple[object, ...], places: Sequence[int] | None = None
    ) -> list[Episode]:
        return self._in_place(failures, lambda task, own: self.rollouts[task].play(own, (*seed, task)))

    def first_tries(
        self, failures: Sequence[Failure], seed: tuple[object, ...], places: Sequence[int] | None = None
    ) -> list[Episode]:
        return self._in_place(
            failures,
            lambda task, own: [
                replace(episode, task=task) for episode in self.rollouts[task].first_tries(own, (*seed, task))
            ],
        )

    def attempt(
        self, failures: Sequence[Failure], seed: tuple[object, ...], places: Sequence[int] | None = None
    ) -> list[tuple[Segment, ...]]:
        return self._in_place(failures, lambda task, own: self.rollouts[task].attempt(own, (*seed, task)))

    def prompt_of(self, failure: Failure) -> tuple[int, ...]:
        return self.rollouts[failure.episode.task].prompt_of(failure)

    def has_room(self, failure: Failure) -> bool:
        return self.rollouts[failure.episode.task].has_room(failure)

    def requests_of(self, failure: Failure) -> Requests:
        return self.rollouts[failure.episode.task].requests_of(failure)

    def _in_place(
        self, failures: Sequence[Failure], play: Callable[[str | None, list[Failure]], list[Played]]
    ) -> list[Played]:
        """What each task plays on its own failures, in the order of all."""
        found: dict[int, Played] = {}
        for task in self.rollouts:
            places = [place for place, failure in enumerate(failures) if failure.episode.task == task]
            played = play(task, [failures[place] for place in places]) if places else []
            found.update(zip(places, played, strict=True))
        return [found[place] for place in range(len(failures))]
