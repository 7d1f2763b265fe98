"""The machine's memory is what this process may take: of the machine, or of its container."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rrr_core.processes import memory
from rrr_core.processes.memory import machine_bytes

MACHINE = 64 << 30


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of 64 GiB without control groups."""
    monkeypatch.setattr(os, "sysconf_names", {"SC_PAGE_SIZE": 0, "SC_PHYS_PAGES": 1}, raising=False)
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": MACHINE // 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__, raising=False)
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "GROUPS_OF_THIS", tmp_path / "self")
    (tmp_path / "self").write_text("0::/\n")
    return tmp_path


def limit(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"{text}\n")


def test_it_is_the_machines_where_there_is_no_limit(groups: Path) -> None:
    assert machine_bytes() == MACHINE
    limit(groups / "cgroup", "memory.max", "max")
    assert machine_bytes() == MACHINE
    limit(groups / "cgroup", "memory.max", str(2**63 - 4096))  # what version 1 says for none
    assert machine_bytes() == MACHINE
    (groups / "self").unlink()
    assert machine_bytes() == MACHINE


def test_a_container_has_its_own_limit(groups: Path) -> None:
    limit(groups / "cgroup", "memory.max", str(8 << 30))
    assert machine_bytes() == 8 << 30


def test_the_narrowest_of_the_groups_around_a_process_counts(groups: Path) -> None:
    (groups / "self").write_text("0::/slurm/job_7/step_0\n")
    limit(groups / "cgroup/slurm/job_7/step_0", "memory.max", "max")
    limit(groups / "cgroup/slurm/job_7", "memory.max", str(4 << 30))
    limit(groups / "cgroup/slurm", "memory.max", str(32 << 30))
    assert machine_bytes() == 4 << 30


@pytest.mark.parametrize("inside", ["", "docker/ab:cd"], ids=["as a container sees it", "as the host sees it"])
def test_groups_of_version_1_are_read_as_well(groups: Path, inside: str) -> None:
    (groups / "self").write_text("5:devices:/\n4:memory:/docker/ab:cd\n0::/\n")
    limit(groups / "cgroup/memory" / inside, "memory.limit_in_bytes", str(3 << 30))
    assert machine_bytes() == 3 << 30


def test_it_is_0_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf_names", raising=False)
    assert machine_bytes() == 0
