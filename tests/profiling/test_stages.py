"""What mining and evaluation put into their profiles, which changes no result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rrr_core.evaluation import EvalSettings, evaluate
from rrr_core.evaluation import folder as evaluation_folder
from rrr_core.mining import MineSettings, mine
from rrr_core.mining import folder as mining_folder
from rrr_core.profiling.profile import Profile, read_profile
from tests.fakes import ScriptedGenerator, numbers_task


@contextmanager
def without_profile(*_: object) -> Iterator[Profile]:
    """Replaces `profiled` by a profile that is not written."""
    yield Profile()


def mined(place: Path) -> None:
    mine(numbers_task(20), ScriptedGenerator(delay=0.01), place, MineSettings(rows=20, tries=4, shard_rows=8), {})


def evaluated(place: Path) -> None:
    settings = EvalSettings(rows=12, shard_rows=5)
    evaluate(numbers_task(20), ScriptedGenerator(delay=0.01), place, "tiny", settings, {})


def made(place: Path) -> dict[str, bytes]:
    """What a stage made, byte for byte."""
    return {path.name: path.read_bytes() for path in place.glob("*.jsonl")}


@pytest.mark.parametrize("stage", [mined, evaluated])
def test_a_stage_makes_the_same_with_and_without_a_profile(
    stage: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(stage)
    stage(tmp_path / "with")
    monkeypatch.setattr(mining_folder, "profiled", without_profile)
    monkeypatch.setattr(evaluation_folder, "profiled", without_profile)
    monkeypatch.setattr(mining_folder, "measured", lambda engine, profile: engine)
    monkeypatch.setattr(evaluation_folder, "measured", lambda engine, profile: engine)
    monkeypatch.setattr(Profile, "write", lambda *_: None)
    stage(tmp_path / "without")
    assert (tmp_path / "with" / "profile.json").exists()
    assert not (tmp_path / "without" / "profile.json").exists()
    assert made(tmp_path / "with") == made(tmp_path / "without") != {}


@pytest.mark.parametrize("stage", [mined, evaluated])
def test_a_stages_profile_has_its_generation_and_judging(stage: object, tmp_path: Path) -> None:
    assert callable(stage)
    stage(tmp_path)
    spent = read_profile(tmp_path)
    assert spent is not None
    assert spent.calls == 1
    assert spent.verdicts >= 20
    assert spent.tokens["written"] > 100
    assert 0.02 <= spent.seconds["generate"] < spent.wall_seconds
    assert 0 < spent.seconds["judge"] < spent.wall_seconds


@pytest.mark.parametrize("stage", [mined, evaluated])
def test_a_finished_stage_asked_for_again_adds_nothing_to_its_profile(stage: object, tmp_path: Path) -> None:
    assert callable(stage)
    stage(tmp_path)
    before = (tmp_path / "profile.json").read_bytes()
    stage(tmp_path)
    assert (tmp_path / "profile.json").read_bytes() == before
