"""What several processes on one CPU make of the time of each."""

from __future__ import annotations

import os

import pytest

torch = pytest.importorskip("torch")

from rrr_core.planning.machine import slowdown


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("eight_cores")
def test_processes_that_share_the_cores_of_one_are_no_faster_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert [slowdown(count) for count in (1, 2, 8, 16)] == [1, 2, 8, 16]


@pytest.mark.usefixtures("eight_cores")
def test_processes_of_a_thread_each_have_a_core_each_as_long_as_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert [slowdown(count) for count in (1, 2, 8, 16)] == [1, 1, 1, 2]
