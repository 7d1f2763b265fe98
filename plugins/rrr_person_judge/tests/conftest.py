"""What the tests share: a task to judge that is not really installed, and a job that judges on a page."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import Job

SUMS = """
from rrr_core import Manifest, failed, hookimpl, passed

@hookimpl
def rrr_load_dataset(split):
    for number in range(3):
        yield {"a": number, "b": 1}

@hookimpl
def rrr_prompt(row):
    return f"What is {row['a']} + {row['b']}?"

@hookimpl
def rrr_verify(row, answer):
    return passed() if answer == str(row["a"] + row["b"]) else failed("wrong sum")

@hookimpl
def rrr_manifest():
    return Manifest("adds", categories=("wrong sum",))
"""


@pytest.fixture
def sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on `sys.path` with the distribution `rrr-sums`, laid out as pip does; it offers the task `sums`."""
    folder = tmp_path / "site"
    info = folder / "rrr_sums-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rrr-sums\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rrr.tasks]\nsums = rrr_sums\n")
    (folder / "rrr_sums.py").write_text(SUMS)
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    yield folder
    sys.modules.pop("rrr_sums", None)


@pytest.fixture
def job(sums: Path, tmp_path: Path) -> Iterator[Job]:
    made = Job(tmp_path)
    yield made
    made.close()
