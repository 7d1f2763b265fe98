"""Fixtures of the report's tests: a synthetic run, its page, and a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Test modules are imported one by one (`--import-mode=importlib`), so helpers beside them need a place on the path.
sys.path.insert(0, str(Path(__file__).parent))

from headless import Chromium, find_chromium
from made_run import make_run

from rrr_core.report import write_report


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of 240 rows; read-only."""
    return make_run(tmp_path_factory.mktemp("runs") / "first")


@pytest.fixture(scope="session")
def page(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on `run_folder`."""
    out = tmp_path_factory.mktemp("page") / "report.html"
    write_report([run_folder], out)
    return out


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the path")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser
