"""A process that waits too long ends the launch with one line: who waited where, and where the others were."""

from __future__ import annotations

import threading

import pytest

from rrr_core.processes.watch import Unwatched, Watch, watching
from rrr_core.processes.world import World


class MemoryStore:
    """A launch's store within one process."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.counts: dict[str, int] = {}

    def set(self, key: str, value: str) -> None:
        self.values[key] = value

    def get(self, key: str) -> bytes:
        return self.values[key].encode()

    def add(self, key: str, amount: int) -> int:
        self.counts[key] = self.counts.get(key, 0) + amount
        return self.counts[key]

    def check(self, keys: list[str]) -> bool:
        return all(key in self.values for key in keys)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def ended() -> list[int]:
    return []


@pytest.fixture
def ranks(clock: Clock, said: list[str], ended: list[int]) -> list[Watch]:
    """The watches of two ranks, without their threads."""
    store = MemoryStore()
    return [Watch(store, rank, 2, 600, clock=clock, say=said.append, end=ended.append) for rank in range(2)]


def test_the_line_says_who_waited_where_and_where_the_other_was(
    ranks: list[Watch], clock: Clock, said: list[str], ended: list[int]
) -> None:
    ranks[0].enter("the rollout of step 3")
    clock.now = 12
    ranks[1].enter("the weight sync of step 3", waits=True)
    clock.now = 613
    assert not ranks[1].look()
    (line,) = said
    assert line.startswith(
        "rank 1 waited 601 s in the weight sync of step 3, over the limit of 600 s (--collective-timeout); rank 0 was"
        " in the rollout of step 3 for 613 s. All ranks end here: see what holds that up"
    )
    assert ended == [2]


def test_the_other_rank_ends_with_it_and_says_nothing_more(
    ranks: list[Watch], clock: Clock, said: list[str], ended: list[int]
) -> None:
    ranks[1].enter("the scoring of step 1", waits=True)
    clock.now = 700
    ranks[1].look()
    ranks[0].enter("the rollout of step 1")
    assert not ranks[0].look()
    assert len(said) == 1
    assert ended == [2, 2]


def test_two_ranks_that_wait_too_long_say_one_line(ranks: list[Watch], clock: Clock, said: list[str]) -> None:
    for rank in ranks:
        rank.enter("a training pass of step 1", waits=True)
    clock.now = 700
    for rank in ranks:
        rank.look()
    assert len(said) == 1


def test_a_rank_at_its_own_work_may_take_any_time(ranks: list[Watch], clock: Clock, ended: list[int]) -> None:
    ranks[0].enter("the rollout of step 3")
    clock.now = 1e6
    assert ranks[0].look()
    assert ended == []


def test_each_place_has_the_whole_limit(ranks: list[Watch], clock: Clock) -> None:
    for step in range(5):
        ranks[0].enter(f"a training pass of step {step}", waits=True)
        clock.now += 500
        assert ranks[0].look()


def test_a_wait_within_a_place_counts_and_ends_at_that_place(
    ranks: list[Watch], clock: Clock, said: list[str], ended: list[int]
) -> None:
    ranks[0].enter("the rollout of step 2")
    with ranks[0].waiting("for the others' part"):
        pass
    clock.now = 601
    assert ranks[0].look()
    with ranks[0].waiting("for the others' part"):
        clock.now += 601
        ranks[0].look()
    assert "rank 0 waited 601 s in the rollout of step 2, for the others' part" in said[0]
    assert "rank 1 had not started" in said[0]


def test_the_thread_ends_a_process_whose_main_thread_only_waits() -> None:
    ended = threading.Event()
    said: list[str] = []
    with Watch(MemoryStore(), 0, 2, 0.1, say=said.append, end=lambda code: ended.set()) as watch:
        watch.enter("the weight sync of step 1", waits=True)
        assert ended.wait(30)
    assert "in the weight sync of step 1" in said[0]


def test_the_thread_stops_with_the_context() -> None:
    before = threading.active_count()
    with Watch(MemoryStore(), 0, 2, 600):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_a_process_that_is_alone_is_not_watched() -> None:
    before = threading.active_count()
    with watching(World(), 600) as watch, watch.waiting("for the others' part"):
        assert isinstance(watch, Unwatched)
        assert threading.active_count() == before
