"""Tasks with misbehaving verifiers, and a judge that keeps them in processes of their own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rrr_core.tasks import Task, load_task
from rrr_core.verification import Judge, VerifySettings
from tests.conftest import FakeSite

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="only trusted verifiers run where no process can fork")

HOOKS = """
from rrr_core import failed, hookimpl, passed
@hookimpl
def rrr_load_dataset(split): return [{"number": n} for n in range(20)]
@hookimpl
def rrr_prompt(row): return "?"
@hookimpl
def rrr_verify(row, answer):
"""

RIGHT_OR_RUN = """
    if answer in ("right", "wrong"):
        return passed() if answer == "right" else failed("wrong", "not right")
    exec(answer)
    return passed()
"""
"""Runs any other answer as code: the worst verifier there can be."""


@pytest.fixture
def make_task(site: FakeSite) -> Callable[..., Task]:
    """Install and load a task with this body of `rrr_verify`."""

    def make(body: str = RIGHT_OR_RUN, name: str = "naive") -> Task:
        site.install_task(name, HOOKS + body)
        return load_task(name)

    return make


@pytest.fixture
def make_judge(make_task: Callable[..., Task]) -> Iterator[Callable[..., Judge]]:
    """A judge of a task from `make_task`, with one worker and short limits. Closed afterwards."""
    judges: list[Judge] = []

    def make(body: str = RIGHT_OR_RUN, max_abstain: float = 1.0, **settings: object) -> Judge:
        limits = VerifySettings(**{"isolation": "process", "workers": 1, "seconds": 60.0, "memory_mb": 256, **settings})
        judges.append(Judge(make_task(body), max_abstain=max_abstain, settings=limits))
        return judges[-1]

    yield make
    for judge in judges:
        judge.close()


@pytest.fixture(scope="module")
def naive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """One judge per test file, with the verifier that runs answers other than `right` and `wrong` as code."""
    folder = tmp_path_factory.mktemp("naive")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        FakeSite(folder).install_task("naive", HOOKS + RIGHT_OR_RUN)
        limits = VerifySettings(isolation="process", workers=1, seconds=60.0, memory_mb=256)
        with Judge(load_task("naive"), max_abstain=1.0, settings=limits) as judge:
            yield judge
    sys.modules.pop("rrr_naive")


def children_of(process: int) -> set[int]:
    """The live descendants of `process`, without itself. Linux only."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(folder.name)] = int(fields[1])
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in {process, *found}} - found:
        found |= more
    return found


def wait_until(happened: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened()
