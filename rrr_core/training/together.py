"""A rollout shared by the processes of a launch: each plays its part of the failures, and all have all episodes.

What is drawn on a failure depends on its place among all, so the texts are those of a single process. Each process
then does the same bookkeeping on the same episodes, and trains its own part of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from accelerate.utils import gather_object

from rrr_core.episode import Episode, Failure, Segment
from rrr_core.errors import RrrError
from rrr_core.training.rollout import Rollout

Played = TypeVar("Played")
Gather = Callable[[list[Any]], list[Any]]
"""Concatenates all processes' lists, in every process."""


def part_of(count: int, process: int, processes: int) -> range:
    """Which of `count` things are a process's: neighbours, and as many for each as possible.

    >>> [part_of(5, process, 2) for process in (0, 1)]
    [range(0, 2), range(2, 5)]
    """
    return range(count * process // processes, count * (process + 1) // processes)


def shared_by(process: int, processes: int, gather: Gather = gather_object) -> Callable[[Rollout], Rollout]:
    """What makes a rollout the work of several processes; of one, it stays as it is."""
    return lambda rollout: SharedRollout(rollout, process, processes, gather) if processes > 1 else rollout


class SharedRollout(Rollout):
    """A rollout of which this process plays its part."""

    def __init__(self, rollout: Rollout, process: int, processes: int, gather: Gather) -> None:
        super().__init__(rollout.task, rollout.engine, rollout.judge, rollout.settings)
        self.process, self.processes, self.gather = process, processes, gather

    def play(
        self, failures: Sequence[Failure], seed: tuple[object, ...], places: Sequence[int] | None = None
    ) -> list[Episode]:
        return self._shared(failures, lambda own, at: super(SharedRollout, self).play(own, seed, at))

    def first_tries(
        self, failures: Sequence[Failure], seed: tuple[object, ...], places: Sequence[int] | None = None
    ) -> list[Episode]:
        return self._shared(failures, lambda own, at: super(SharedRollout, self).first_tries(own, seed, at))

    def attempt(
        self, failures: Sequence[Failure], seed: tuple[object, ...], places: Sequence[int] | None = None
    ) -> list[tuple[Segment, ...]]:
        return self._shared(failures, lambda own, at: super(SharedRollout, self).attempt(own, seed, at))

    def _shared(
        self, failures: Sequence[Failure], play: Callable[[list[Failure], Sequence[int]], list[Played]]
    ) -> list[Played]:
        """What all processes play, in the order of the failures; each judge counts all verdicts.

        What one process raises, such as TooManyAbstentions, all raise: none waits for one that has ended.
        """
        own = part_of(len(failures), self.process, self.processes)
        before = self.judge.counted()
        played: list[Played] = []
        fault: RrrError | None = None
        try:
            played = play([failures[place] for place in own], own) if own else []
        except RrrError as error:
            fault = error
        parts = self.gather([(played, self.judge.counted().minus(before), fault)])
        for process, (_, counted, raised) in enumerate(parts):
            if raised is not None:
                raise raised
            if process != self.process:
                self.judge.count(counted)
        return [one for part, _, _ in parts for one in part]
