"""`protections()` reports what it has measured, not what it assumes."""

from __future__ import annotations

import os
import sys

import pytest

from rrr_core.verification import protection, sandbox, seccomp, workers
from rrr_core.verification.protection import protections
from tests.verification.conftest import children_of, needs_fork


@needs_fork
def test_each_protection_is_named_and_says_in_one_line_what_was_tried():
    found = protections()
    assert [each.name for each in found] == list(protection.WHAT)
    assert all(each.detail.startswith(protection.WHAT[each.name]) and "\n" not in each.detail for each in found)


@needs_fork
@pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are for Linux")
def test_where_kernel_and_libraries_have_all_of_it_all_is_in_force():
    if seccomp.missing() or sandbox.landlock_version() < 3:
        pytest.skip("this machine lacks libseccomp or Landlock")
    assert [each.name for each in protections() if not each.in_force] == []


@needs_fork
@pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")
def test_it_leaves_nothing_behind():
    before = children_of(os.getpid())
    protections()
    assert children_of(os.getpid()) <= before


@needs_fork
@pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are for Linux")
@pytest.mark.parametrize(
    ("missing", "lost"),
    [
        ("pyseccomp", {"network", "programs", "processes", "signals"}),
        ("landlock", {"private files", "secrets"}),
        ("both", {"network", "programs", "processes", "signals", "private files", "secrets", "files"}),
    ],
)
def test_without_a_library_its_protections_are_not_claimed(missing, lost, tmp_path, monkeypatch):
    """Packages that fail to import shadow the real ones, in this process and in the nursery."""
    seccomp.missing.cache_clear()
    sandbox.landlock_version.cache_clear()
    for package in ("pyseccomp", "landlock") if missing == "both" else (missing,):
        (tmp_path / f"{package}.py").write_text("raise ImportError('not here')\n")
        monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    held = {each.name for each in protections() if not each.in_force}
    # Root may read what others may not; without capabilities it still cannot read some of it.
    seccomp.missing.cache_clear()
    sandbox.landlock_version.cache_clear()
    assert held <= lost
    assert held & lost


def test_without_fork_nothing_is_claimed(monkeypatch):
    monkeypatch.delattr(os, "fork", raising=False)
    assert not any(each.in_force for each in protections())
    assert all("cannot fork" in each.detail for each in protections())


@needs_fork
def test_without_a_worker_nothing_is_claimed(monkeypatch):
    monkeypatch.setattr(workers.sys, "executable", "/does/not/exist")
    assert not any(each.in_force for each in protections())
