"""A command that runs a model keeps the memory that its tensors free."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from rrr_core import cli
from rrr_core.cli import heap

TOUCH = """
import resource, sys
from rrr_core.cli.heap import keep_freed_memory
kept = keep_freed_memory()
def touch():
    pieces = [b"1" * (24 << 20) for _ in range(4)]
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    touch()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")


def faults(**environment: str) -> tuple[str, int]:
    """Whether memory was kept, and the page faults of allocating and freeing 96 MiB five more times."""
    own = {name: value for name, value in os.environ.items() if name not in heap.USERS_OWN}
    output = subprocess.run(
        [sys.executable, "-c", TOUCH], env={**own, **environment}, capture_output=True, text=True, check=True
    ).stdout
    kept, count = output.split()
    return kept, int(count)


@glibc
def test_freed_memory_is_reused_without_the_system() -> None:
    kept, count = faults()
    assert kept == "True"
    assert count < 1000


@glibc
def test_a_user_who_chose_the_allocators_settings_keeps_them() -> None:
    kept, count = faults(MALLOC_TRIM_THRESHOLD_="131072")
    assert kept == "False"
    assert count > 10_000


def test_on_other_systems_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert heap.keep_freed_memory() is False


@pytest.mark.parametrize(("command", "keeps"), [("demo", True), ("train", True), ("tasks", False)])
def test_the_commands_that_run_a_model_keep_freed_memory(
    monkeypatch: pytest.MonkeyPatch, command: str, keeps: bool
) -> None:
    called: list[bool] = []
    monkeypatch.setattr("rrr_core.cli.heap.keep_freed_memory", lambda: called.append(True))
    monkeypatch.setattr(sys, "argv", ["rrr", command, "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    assert bool(called) is keeps
