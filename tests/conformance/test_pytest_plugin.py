"""The checks under pytest, without a test file and in one."""

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
    """Runs pytest in an empty folder with the site's distributions, and gives its exit code and output."""
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


def test_the_checks_of_a_task_run_without_a_test_file(site: Any, run: Any) -> None:
    install(site)
    code, output = run("--rrr-task", "sums", "-v", "-k", "splits_load")
    assert code == 0, output
    assert "rrr check sums::check_splits_load PASSED" in output
    assert "rrr check sums::check_splits_load_lazily PASSED" in output
    assert "2 passed" in output


ANOTHER = "def test_another():\n    pass\n"


def test_without_a_path_no_tests_are_collected_from_the_folder(site: Any, run: Any) -> None:
    install(site)
    code, output = run("--rrr-task=sums", "-v", "-k", "splits_load or another", file=ANOTHER)
    assert code == 0, output
    assert "2 passed" in output
    assert "test_another" not in output


def test_tests_at_a_given_path_run_before_the_checks(site: Any, run: Any) -> None:
    install(site)
    code, output = run("test_it.py", "--rrr-task", "sums", "-k", "splits_load or another", file=ANOTHER)
    assert code == 0, output
    assert "3 passed" in output


def test_a_task_named_in_a_projects_settings_is_checked_along_with_its_tests(site: Any, run: Any) -> None:
    install(site)
    code, output = run("-o", "addopts=--rrr-task=sums", "-k", "splits_load or another", file=ANOTHER)
    assert code == 0, output
    assert "3 passed" in output


def test_a_failure_shows_its_one_message_and_no_traceback(site: Any, run: Any) -> None:
    install(site, GOLD)
    code, output = run("--rrr-task", "sums", "-k", "gold")
    assert code == 1
    assert "rrr-sums 1.0: gold answer 0, '2002', is failed" in output
    assert ".py:" not in output
    assert "Traceback" not in output


def test_a_test_function_gets_the_checks_that_it_names(site: Any, run: Any) -> None:
    install(site, GOLD)
    code, output = run("-v", file=PARAMETRIZED)
    assert code == 1
    assert "test_check[check_splits_load] PASSED" in output
    assert "test_check[check_gold_answers_pass] FAILED" in output
    assert "rrr-sums 1.0: gold answer 0, '2002', is failed" in output
    assert "rrr_core/" not in output


def test_a_check_reports_the_cause_itself_if_the_check_for_it_does_not_run(site: Any, run: Any) -> None:
    install(site, Plant("", "", '"test": 2000}', '"tset": 2000}'))
    code, output = run("--rrr-task", "sums", "-k", "gold_answers_pass")
    assert code == 1
    assert "KeyError" in output


def test_a_check_that_does_not_apply_is_skipped_with_its_reason(site: Any, run: Any) -> None:
    install(site, Plant("", "", "@hookimpl\ndef rrr_gold_answer", "def gold_answer"))
    code, output = run("--rrr-task", "sums", "-k", "gold_answers_pass", "-rs")
    assert code == 0
    assert "there is no hook rrr_gold_answer." in output


def test_a_check_that_cannot_be_judged_fails(run: Any) -> None:
    code, output = run("--rrr-task", "nosuch", "-k", "task_loads")
    assert code == 1
    assert "cannot be judged: No task 'nosuch' is installed." in output


def test_a_data_option_without_its_value_is_a_usage_error(site: Any, run: Any) -> None:
    install(site)
    code, output = run("--rrr-task", "sums", "--rrr-data", "source")
    assert code == 4
    assert "--rrr-data source: KEY=VALUE is expected." in output


def test_the_pytest_plugin_imports_nothing_of_the_core_until_it_is_used() -> None:
    code = (
        "import sys, rrr_core\nbefore = {name for name in sys.modules if name.startswith('rrr_core')}\n"
        "import rrr_core.pytest_plugin\n"
        "print(sorted({name for name in sys.modules if name.startswith('rrr_core')} - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['rrr_core.pytest_plugin']"
