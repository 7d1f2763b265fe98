"""Scorers that execute model text do no harm: the guards stop the text, and the sandbox stops what gets past them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from reasoning_gym.factory import create_dataset
from rrr_reasoning_gym import answers, maker

from rrr_core.tasks import load_task
from rrr_core.verification import Judge

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux-only")

UNGUARDED = """
from rrr_core import failed, hookimpl, passed

@hookimpl
def rrr_load_dataset():
    yield {}

@hookimpl
def rrr_prompt():
    return "?"

@hookimpl
def rrr_verify(answer):
    from reasoning_gym.factory import create_dataset
    data = create_dataset("countdown", seed=1, size=1)
    return passed() if data.score_answer(answer, data[0]) >= 1 else failed("wrong answer")
"""
"""Upstream's own scorer as a task, without guards."""


def attack(target: Path) -> str:
    return f"__import__('os').system('touch {target}')"


def test_upstreams_scorer_runs_the_attack(tmp_path):
    data = create_dataset("countdown", seed=1, size=1)
    data.score_answer(attack(tmp_path / "planted"), data[0])
    assert (tmp_path / "planted").exists()


@pytest.mark.parametrize("dataset", ["countdown", "puzzle24", "simple_integration", "n_queens", "string_insertion"])
def test_an_attack_is_a_failed_answer_and_does_nothing(dataset, tmp_path):
    row = next(maker.rows(dataset, "train", {"size": "20"}))
    with Judge(load_task(f"reasoning-gym.{dataset}")) as judge:
        assert judge.isolated
        (verdict,) = judge.judge([(row, answers.tagged(attack(tmp_path / "planted")))])
    assert (verdict.outcome, verdict.category) == ("failed", "malformed answer")
    assert not (tmp_path / "planted").exists()


def test_without_the_guards_the_sandbox_stops_the_attack(tmp_path, monkeypatch):
    site = tmp_path / "site"
    information = site / "rrr_unguarded-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: rrr-unguarded\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[rrr.tasks]\nunguarded = rrr_unguarded\n")
    (site / "rrr_unguarded.py").write_text(UNGUARDED)
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    with Judge(load_task("unguarded"), max_abstain=1.0) as judge:
        (verdict,) = judge.judge([({}, attack(tmp_path / "planted"))])
    assert not verdict.is_passed
    assert not (tmp_path / "planted").exists()
