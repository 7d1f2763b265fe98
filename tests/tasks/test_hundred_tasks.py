"""`rrr tasks` stays quick and readable with a hundred tasks installed."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections import Counter

import pytest

from rrr_core.tasks import discovery, find_tasks, scanning
from tests.conftest import SUMS, FakeSite

SECONDS = 1.0
"""Processor time, including Python's start. It takes 0.2 to 0.3; the promise is 0.5, and test machines are slow."""


def install_hundred_packages(site: FakeSite) -> None:
    for number in range(100):
        name = f"many_{number:03}"
        site.install(f"rrr-{name}", modules={name: SUMS}, tasks={name: name}, requires=["rrr-core>=0.1,<0.2", "click"])


def install_one_package_of_a_hundred(site: FakeSite) -> None:
    tasks = {f"hundred.{number:03}": "rrr_hundred" for number in range(100)}
    site.install("rrr-hundred", modules={"rrr_hundred": SUMS}, tasks=tasks, requires=["rrr-core>=0.1,<0.2"])


LAYOUTS = [install_hundred_packages, install_one_package_of_a_hundred]

CODE = """
import sys, time
from rrr_core.cli import run_command
code = run_command(["tasks"])
heavy = sorted({"torch", "numpy", "asyncio", "multiprocessing", "rrr_core.pipeline"} & set(sys.modules))
print(time.process_time(), heavy, file=sys.stderr)
sys.exit(code)
"""


def listed(site: FakeSite) -> tuple[list[str], float, str]:
    """The lines of `rrr tasks` in a fresh process, its processor seconds, and the heavy modules it imported."""
    environment = {**os.environ, "PYTHONPATH": str(site.folder)}
    environment.pop("COVERAGE_PROCESS_START", None)
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    seconds, _, heavy = done.stderr.partition(" ")
    return done.stdout.splitlines(), float(seconds), heavy.strip()


@pytest.mark.parametrize("install", LAYOUTS)
def test_a_hundred_tasks_are_listed_within_the_time(site: FakeSite, install) -> None:
    install(site)
    runs = [listed(site) for _ in range(3)]
    lines, _, heavy = runs[0]
    ours = [line for line in lines if line.startswith(("many_", "hundred."))]
    assert len(ours) == 100
    assert all(" ok " in line for line in ours)
    assert heavy == "[]"
    assert min(seconds for _, seconds, _ in runs) < SECONDS


@pytest.mark.parametrize("install", LAYOUTS)
def test_a_hundred_tasks_have_a_line_each_in_columns_by_name(site: FakeSite, install) -> None:
    install(site)
    lines, _, _ = listed(site)
    ours = [line for line in lines if line.startswith(("many_", "hundred."))]
    assert ours == sorted(ours)
    assert len({line.index(" ok ") for line in ours}) == 1
    assert max(map(len, ours)) < 120


def install_among_strangers(site: FakeSite) -> None:
    install_hundred_packages(site)
    for number in range(50):
        site.install(f"stranger-{number}", entry_points=f"[console_scripts]\nstranger{number} = stranger:main\n")


def test_metadata_are_read_only_for_distributions_that_offer_a_task_and_once(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_among_strangers(site)
    read: Counter[str] = Counter()
    text_of = scanning._text

    def counted(folder: str, name: str, word: str = "") -> str | None:
        if name == "METADATA":
            read[folder] += 1
        return text_of(folder, name, word)

    monkeypatch.setattr(scanning, "_text", counted)
    find_tasks()
    assert not [name for name in read if "stranger" in name]
    assert len([name for name in read if "many_" in name]) == 100
    assert max(read.values()) == 1


def test_importlib_too_parses_metadata_only_for_distributions_that_offer_a_task_and_at_most_twice(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_among_strangers(site)
    monkeypatch.setattr(discovery, "plain_offers", lambda group: None)
    parsed: Counter[str] = Counter()
    read_text = importlib.metadata.PathDistribution.read_text

    def counted(self: importlib.metadata.PathDistribution, filename: str) -> str | None:
        if filename == "METADATA":
            parsed[str(self._path)] += 1  # type: ignore[attr-defined]
        return read_text(self, filename)

    monkeypatch.setattr(importlib.metadata.PathDistribution, "read_text", counted)
    find_tasks()
    assert not [name for name in parsed if "stranger" in name]
    assert len([name for name in parsed if "many_" in name]) == 100
    assert max(parsed.values()) <= 2
