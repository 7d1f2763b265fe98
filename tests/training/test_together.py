"""A rollout that processes share: each plays its part, all have all of it, and what one raises all raise."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.errors import RrrError, TooManyAbstentions
from rrr_core.training.rollout import Rollout
from rrr_core.training.settings import TrainSettings
from rrr_core.training.together import SharedRollout, part_of
from rrr_core.verdicts import abstained
from rrr_core.verification import Judge
from tests.fakes import numbers_task

pytestmark = pytest.mark.train


class Gathered:
    """Concatenates the lists of processes that are threads."""

    def __init__(self, processes: int) -> None:
        self._parts: list[list[Any]] = [[] for _ in range(processes)]
        self._all_here = threading.Barrier(processes, timeout=30)

    def of(self, process: int) -> Any:
        def gather(part: list[Any]) -> list[Any]:
            self._parts[process] = part
            self._all_here.wait()
            together = [one for each in self._parts for one in each]
            self._all_here.wait()
            return together

        return gather


class Played(SharedRollout):
    """Plays a failure as its name, its place and who played it."""

    fails = -1

    def play(self, failures: Sequence[Any], seed: tuple[object, ...], places: Sequence[int] | None = None) -> Any:
        def one(own: list[Any], at: Sequence[int]) -> list[Any]:
            self.judge.judged += len(own)
            if self.process == self.fails:
                raise TooManyAbstentions("the verifier withheld 9 of 9 verdicts")
            return [(failure, place, self.process) for failure, place in zip(own, at, strict=True)]

        return self._shared(failures, one)


def shared(processes: int, fails: int = -1) -> list[Played]:
    gathered, members = Gathered(processes), []
    for process in range(processes):
        task, engine = numbers_task(), SimpleNamespace(context=None)
        rollout = Rollout(task, engine, Judge(task), TrainSettings())  # type: ignore[arg-type]
        members.append(Played(rollout, process, processes, gathered.of(process)))
        members[-1].fails = fails
    return members


def all_play(members: Sequence[Played], failures: Sequence[str]) -> list[Any]:
    with ThreadPoolExecutor(len(members)) as pool:
        futures = [pool.submit(each.play, failures, (0,)) for each in members]  # type: ignore[arg-type]
        return [future.exception(60) or future.result() for future in futures]


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_every_process_has_all_episodes_in_order_each_drawn_at_its_place(processes: int) -> None:
    found = all_play(shared(processes), "abcde")
    assert all(each == found[0] for each in found)
    assert [(failure, place) for failure, place, _ in found[0]] == list(zip("abcde", range(5), strict=True))


def test_parts_are_neighbours_and_differ_by_one_at_most() -> None:
    parts = [part_of(10, process, 4) for process in range(4)]
    assert [place for part in parts for place in part] == list(range(10))
    assert {len(part) for part in parts} == {2, 3}


def test_each_judge_counts_the_verdicts_of_all() -> None:
    members = shared(3)
    all_play(members, "abcde")
    assert [each.judge.judged for each in members] == [5, 5, 5]


def test_what_one_process_raises_all_raise() -> None:
    found = all_play(shared(3, fails=1), "abcde")
    assert [type(each) for each in found] == [TooManyAbstentions] * 3
    assert all(isinstance(each, RrrError) for each in found)


def test_a_judge_counts_withheld_verdicts_of_another_towards_its_limit() -> None:
    one, other = Judge(numbers_task(), max_abstain=0.5), Judge(numbers_task(), max_abstain=0.5)
    before = other.counted()
    other.recall(4, [abstained("exception", "planted")] * 3)
    one.count(other.counted().minus(before))
    assert (one.judged, one.abstained, one.withheld.total()) == (4, 3, 3)
    with pytest.raises(TooManyAbstentions):
        one.finish()
