"""What the processes of a launch learn from each other, and what they say when one does not come."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import Any

import pytest

from rrr_core.errors import RrrError
from rrr_core.processes.meeting import FirstIsGone, Meeting, OthersFailed, torch_store
from rrr_core.processes.world import World
from tests.processes.launched import MemoryStore, all_at_once


def meetings(size: int, store: MemoryStore | None = None) -> list[Meeting]:
    store = store or MemoryStore()
    return [Meeting(World(rank, size, rank, size), store) for rank in range(size)]


def test_all_hear_what_the_first_says() -> None:
    said = all_at_once(meetings(3), lambda one: one.agree("where to begin", {"step": one.world.rank + 7}))
    assert said == [{"step": 7}] * 3


def test_a_process_at_another_place_is_an_error_that_names_both() -> None:
    first, second = meetings(2)
    first.agree("mining", 1)
    with pytest.raises(RrrError, match="process 1 waits at 'training' and the first process is at 'mining'"):
        second.agree("training", 1)


def test_who_waits_says_for_whom_and_where_that_one_was_last() -> None:
    first, second = meetings(2)
    first.agree("mining", None)
    second.agree("mining", None)
    now = iter(range(1000))
    first._clock, first._sleep = lambda: float(next(now)), lambda _: None
    with pytest.raises(RrrError, match=r"process 0 has waited 30 s at 'training' for process 1 \(last at 'mining'\)"):
        first.meet("training", limit=30.0)


def test_all_go_on_once_all_are_there() -> None:
    assert all_at_once(meetings(3), lambda one: one.meet("training", limit=30.0)) == [None] * 3


def test_only_the_first_to_fail_says_why_and_the_others_hear_of_it() -> None:
    first, second, third = meetings(3)
    first._sleep = lambda _: None
    assert second.fail()
    assert not third.fail()
    for one in (first, third):
        with pytest.raises(OthersFailed):
            one.check()
    with pytest.raises(OthersFailed):
        third.agree("what never comes", None)


def test_a_first_process_that_is_gone_ends_the_wait_and_one_of_the_others_says_so() -> None:
    store = MemoryStore()
    _, second, third = meetings(3, store)
    store.is_gone = True
    with pytest.raises(FirstIsGone, match="run the same command again"):
        second.agree("mining", None)
    assert [one.fail() for one in (second, third)] == [True, False]


def test_a_wait_for_others_hears_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch waits in code of its own, in which no signal is handled: here it waits for the test's end."""
    pytest.importorskip("torch")
    over = threading.Event()
    # A shell that starts the tests in the background has them ignore Ctrl-C, and Python leaves it at that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def meet(*_: Any, **__: Any) -> Any:
        threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
        return iter([over.wait()])

    monkeypatch.setattr("torch.distributed.rendezvous", meet)
    try:
        with pytest.raises(KeyboardInterrupt):
            torch_store(World(0, 2, 0, 2))
    finally:
        over.set()
        signal.signal(signal.SIGINT, before)


def test_a_first_process_whose_others_never_start_says_so_before_it_ends() -> None:
    pytest.importorskip("torch")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        world = World(0, 2, 0, 2, port=free.getsockname()[1], launcher="torchrun")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.variables().items():
            patch.setenv(name, value)
        with pytest.raises(RrrError, match="process 0 of 2 cannot meet the others .* unset RANK and WORLD_SIZE"):
            torch_store(world, seconds=2, say=said.append, patience=0.1)
    assert said == [
        "waits for 1 more that torchrun should have started. If nothing started any, unset RANK and WORLD_SIZE."
    ]
