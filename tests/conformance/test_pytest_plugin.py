"""The checks under pytest: without a test file, and in one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.planted import PLANTS, Plant, install

GOLD = next(plant for plant in PLANTS if plant.check == "check_gold_answers_pass")
PARAMETRIZED = """
from rrr_core.testing import parametrize_checks

@parametrize_checks("sums", only=["gold_answers_pass", "splits_load"])
def test_check(check):
    check()
"""


@pytest.fixture
def run(site: Any, tmp_path: Path) -> Any:
    """Runs pytest in an empty folder with the site's distributions; gives exit code and output."""
    folder = tmp_path / "project"
    folder.mkdir()

    def run(*arguments: str, file: str = "") -> tuple[int, str]:
        if file:
            (folder / "test_it.py").write_text(file)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "--rrr-rows", "5", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site.folder), *sys.path])},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_checks_of_a_task_are_run_without_a_test_file(site: Any, run: Any) -> None:
    install(site)
    code, told = run("--rrr-task", "sums", "-v", "-k", "splits_load")
    assert code == 0, told
    assert "rrr check sums::check_splits_load PASSED" in told
    assert "rrr check sums::check_splits_load_lazily PASSED" in told
    assert "2 passed" in told


ANOTHER = "def test_another():\n    pass\n"


def test_tests_that_lie_about_are_left_alone_where_no_path_is_given(site: Any, run: Any) -> None:
    install(site)
    code, told = run("--rrr-task=sums", "-v", "-k", "splits_load or another", file=ANOTHER)
    assert code == 0, told
    assert "2 passed" in told
    assert "test_another" not in told


def test_tests_whose_path_is_given_are_run_before_the_checks(site: Any, run: Any) -> None:
    install(site)
    code, told = run("test_it.py", "--rrr-task", "sums", "-k", "splits_load or another", file=ANOTHER)
    assert code == 0, told
    assert "3 passed" in told


def test_a_task_that_a_project_names_in_its_settings_is_checked_beside_its_tests(site: Any, run: Any) -> None:
    install(site)
    code, told = run("-o", "addopts=--rrr-task=sums", "-k", "splits_load or another", file=ANOTHER)
    assert code == 0, told
    assert "3 passed" in told


def test_a_failure_shows_its_one_message_and_no_traceback(site: Any, run: Any) -> None:
    install(site, GOLD)
    code, told = run("--rrr-task", "sums", "-k", "gold")
    assert code == 1
    assert "rrr-sums 1.0: gold answer 0, '2002', is failed" in told
    assert ".py:" not in told
    assert "Traceback" not in told


def test_a_test_function_gets_the_checks_that_it_names(site: Any, run: Any) -> None:
    install(site, GOLD)
    code, told = run("-v", file=PARAMETRIZED)
    assert code == 1
    assert "test_check[check_splits_load] PASSED" in told
    assert "test_check[check_gold_answers_pass] FAILED" in told
    assert "rrr-sums 1.0: gold answer 0, '2002', is failed" in told
    assert "rrr_core/" not in told


def test_a_check_whose_cause_is_left_out_tells_of_it_itself(site: Any, run: Any) -> None:
    install(site, Plant("", "", '"test": 2000}', '"tset": 2000}'))
    code, told = run("--rrr-task", "sums", "-k", "gold_answers_pass")
    assert code == 1
    assert "KeyError" in told


def test_what_does_not_apply_is_skipped_with_its_reason(site: Any, run: Any) -> None:
    install(site, Plant("", "", "@hookimpl\ndef rrr_gold_answer", "def gold_answer"))
    code, told = run("--rrr-task", "sums", "-k", "gold_answers_pass", "-rs")
    assert code == 0
    assert "there is no hook rrr_gold_answer." in told


def test_what_cannot_be_judged_fails(run: Any) -> None:
    code, told = run("--rrr-task", "nosuch", "-k", "task_loads")
    assert code == 1
    assert "cannot be judged: No task 'nosuch' is installed." in told


def test_a_data_option_without_its_value_is_a_usage_error(site: Any, run: Any) -> None:
    install(site)
    code, told = run("--rrr-task", "sums", "--rrr-data", "source")
    assert code == 4
    assert "--rrr-data source: KEY=VALUE is expected." in told


def test_the_plugin_of_pytest_imports_nothing_of_the_core_until_it_is_asked() -> None:
    code = (
        "import sys, rrr_core\nbefore = {name for name in sys.modules if name.startswith('rrr_core')}\n"
        "import rrr_core.pytest_plugin\n"
        "print(sorted({name for name in sys.modules if name.startswith('rrr_core')} - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['rrr_core.pytest_plugin']"
