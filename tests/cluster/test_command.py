"""`--ray` on the commands: the same files, and who may not use it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rrr_core.cli import run_command
from rrr_core.cluster import on_ray
from rrr_core.cluster.actor import ShardActor
from rrr_core.cluster.settings import ClusterSettings
from rrr_core.config.files import read_config
from rrr_core.errors import RrrError
from rrr_core.evaluation import EvalSettings
from rrr_core.generation import ModelSettings
from rrr_core.mining import MineSettings
from rrr_core.pipeline import RunSettings, Workers, open_tasks
from rrr_core.pipeline.settings import identity_of
from rrr_core.tasks.settings import TaskSettings
from rrr_core.training.settings import TrainSettings
from tests.cluster.fake_pool import FakePool
from tests.conftest import FakeSite

ENGINE = """
    import random
    from rrr_core.generation import Engine, EngineSpec, Generation
    from rrr_core.hookspecs import Model

    class Drawing(Engine):
        model = Model("drawing")

        def generate(self, conversations, sampling, on_done=None):
            draws = [random.Random(f"{sampling.seed} {each}").randrange(4) for each in conversations]
            return [Generation(str(draw), (draw,)) for draw in draws]

        def describe(self):
            return {"backend": "drawing"}

    ENGINE = EngineSpec(open="rrr_drawing:run")

    def run(settings):
        return Drawing()
"""
MODEL = ["--model", "m", "--backend", "drawing"]


@pytest.fixture
def pools(site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> list[FakePool]:
    """The pools that commands opened, in this process; with a task `sums` and an engine `drawing` installed."""
    site.install_task("sums")
    site.install("rrr-drawing", modules={"rrr_drawing": ENGINE}, engines={"drawing": "rrr_drawing:ENGINE"})
    opened: list[FakePool] = []

    def open_pool(settings: ClusterSettings) -> FakePool:
        pool: Any = FakePool(ShardActor)
        pool.wanted = settings.ray_actors or 2
        opened.append(pool)
        return pool

    monkeypatch.setattr(on_ray, "RayPool", open_pool)
    return opened


def results(folder: Path) -> dict[str, bytes]:
    found = [*folder.rglob("*-0*.jsonl"), *folder.rglob("figures.json")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("command", ["mine", "eval"])
def test_a_command_writes_the_same_files_with_and_without_a_cluster(
    command: str, pools: Sequence[FakePool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [command, "sums", *MODEL, "--shard-rows", "1"]
    assert run_command([*line, "--folder", str(tmp_path / "here")]) == 0, capsys.readouterr().err
    assert run_command([*line, "--folder", str(tmp_path / "there"), "--ray", "auto", "--ray-actors", "2"]) == 0
    assert results(tmp_path / "here") == results(tmp_path / "there") != {}
    (pool,) = pools
    assert len(pool.made) == (3 if command == "mine" else 6)
    assert pool.started == 2
    assert pool.is_closed
    assert "Loading m in 2 actors on Ray" in capsys.readouterr().err


def test_models_that_are_compared_have_actors_one_after_the_other(
    pools: Sequence[FakePool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["eval", "sums", *MODEL, "--compare", "other", "--ray", "auto", "--folder", str(tmp_path)]
    assert run_command(line) == 0, capsys.readouterr().err
    assert [pool.is_closed for pool in pools] == [True, True]


def test_a_cluster_may_be_named_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('[cluster]\nray = "10.0.0.1:6379"\nray_actors = 4\n')
    assert read_config(tmp_path / "run.toml")["cluster"] == {"ray": "10.0.0.1:6379", "ray_actors": 4}


def test_a_run_may_be_resumed_with_or_without_a_cluster(site: FakeSite) -> None:
    site.install_task("sums")
    settings = RunSettings(
        TaskSettings("sums"), ModelSettings(model="m"), MineSettings(), TrainSettings(), EvalSettings()
    )
    other = dataclasses.replace(settings, cluster=ClusterSettings(ray="auto", ray_actors=3))
    tasks = open_tasks(settings.task)
    assert identity_of(settings, tasks) == identity_of(other, tasks)


def test_several_processes_cannot_share_a_cluster() -> None:
    others: Any = type("Ranks", (), {"leads": True})()
    workers = Workers(lambda: ModelSettings(model="m"), ClusterSettings(ray="auto"), others)
    with pytest.raises(RrrError, match="leave out --processes, or the launcher"):
        workers.both  # noqa: B018 - it opens them


def test_ray_that_is_not_installed_is_said_with_its_extra(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install_task("sums")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run_command(["mine", "sums", "--model", "m", "--folder", str(tmp_path), "--ray", "auto"]) == 2
    assert "this needs rrr-core[ray]: pip install 'rrr-core[ray]'" in capsys.readouterr().err
