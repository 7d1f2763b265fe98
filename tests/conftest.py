"""Fixtures for the tests of several rooms: distributions that are not really installed."""

from __future__ import annotations

import importlib
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

SUMS = """
    from rrr_core import failed, hookimpl, passed

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
"""
"""A whole task plugin, as small as one can be."""


class FakeSite:
    """A folder on `sys.path` with distributions laid out as pip would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        distribution: str,
        version: str = "1.0",
        *,
        modules: Mapping[str, str] | None = None,
        tasks: Mapping[str, str] | None = None,
        overlays: Mapping[str, str] | None = None,
        engines: Mapping[str, str] | None = None,
        requires: Sequence[str] = (),
        entry_points: str | None = None,
        metadata: str | None = None,
    ) -> Path:
        """Lay out a distribution, with the text of `entry_points` and `metadata`, and return its dist-info folder."""
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n" if metadata is None else metadata)
        if entry_points is None:
            groups = {"rrr.tasks": tasks or {}, "rrr.overlays": overlays or {}, "rrr.engines": engines or {}}
            entry_points = "".join(
                f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items()) + "\n"
                for group, points in groups.items()
                if points
            )
        (info / "entry_points.txt").write_text(entry_points)
        for name, source in (modules or {}).items():
            path = self.folder / (name.replace(".", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source).lstrip("\n"))
        importlib.invalidate_caches()
        return info

    def install_task(self, task: str, source: str = SUMS, *, version: str = "1.0", extra: str = "") -> None:
        """Lay out the distribution `rrr-TASK` with the one module `rrr_TASK` that offers `task`."""
        module = f"rrr_{task}"
        code = textwrap.dedent(source) + textwrap.dedent(extra)
        self.install(f"rrr-{task}", version, modules={module: code}, tasks={task: module})

    def install_overlay(self, overlay: str, source: str) -> None:
        """Lay out the distribution `rrr-OVERLAY` 2.0 with the one module `rrr_OVERLAY` that offers the overlay."""
        module = f"rrr_{overlay}"
        self.install(f"rrr-{overlay}", "2.0", modules={module: source}, overlays={overlay: module})


@pytest.fixture(scope="session", autouse=True)
def _children_are_not_measured() -> None:
    """Measure the test processes, including pytest-xdist's workers, but not their children: that would be slow."""
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSite]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield FakeSite(folder)
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(folder)):
            del sys.modules[name]
