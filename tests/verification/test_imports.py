"""What starts quickly because it imports little: a nursery, a judge, and the tasks it judges for."""

from __future__ import annotations

import subprocess
import sys

import pytest

SLOW = {"asyncio", "email", "hashlib", "importlib.metadata", "packaging", "rich", "subprocess", "sympy", "torch"}
"""Of what takes milliseconds to import, the modules that were once imported without need."""

JUDGE = {"rrr_core.verification.judge", "rrr_core.verification.runner", "rrr_core.profiling", "rrr_core.runs"}


def imported(code: str) -> set[str]:
    """The modules that some code imports, in a new process."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(shown.stdout.split())


def test_a_nursery_with_our_tasks_imports_nothing_slow_and_no_judge() -> None:
    pytest.importorskip("rrr_countdown")
    pytest.importorskip("rrr_apigen")
    loaded = imported("import rrr_core.verification.nursery, rrr_countdown, rrr_apigen")
    assert loaded & (SLOW | JUDGE) == set()


def test_a_judge_of_a_trusted_verifier_imports_no_folders() -> None:
    loaded = imported("from rrr_core.verification import Judge")
    assert loaded & {"rrr_core.runs", "hashlib", "torch", "importlib.metadata"} == set()


def test_finding_our_tasks_needs_no_parser_of_requirements() -> None:
    pytest.importorskip("rrr_countdown")
    loaded = imported("from rrr_core.tasks import find_tasks\nassert not [each for each in find_tasks() if each.error]")
    assert "packaging" not in loaded


def test_mining_with_a_server_imports_neither_training_nor_evaluation_nor_bars_for_a_log() -> None:
    loaded = imported(
        "import rrr_core.cli.mine\n"
        "from rrr_core import pipeline\n"
        "from rrr_core.cli.progress import make_progress\n"
        "pipeline.Workers, pipeline.choose_model, pipeline.open_tasks, make_progress()"
    )
    assert loaded & {"torch", "numpy", "transformers", "rich", "rrr_core.training", "rrr_core.evaluation"} == set()
