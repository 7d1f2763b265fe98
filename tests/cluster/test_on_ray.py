"""A real Ray cluster of a head and two machines, on this one: killed actors and machines, and rows that kill."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from rrr_core.cluster import driver, on_ray
from rrr_core.cluster.driver import Actors
from rrr_core.cluster.on_ray import RayPool, answers
from rrr_core.cluster.settings import ClusterSettings
from rrr_core.errors import RrrError
from rrr_core.generation import ModelSettings, make_engine
from rrr_core.mining import MineSettings, mine
from rrr_core.tasks import load_task
from tests.conftest import FakeSite

pytest.importorskip("ray", reason="needs Ray: pip install 'rrr-core[ray]'")
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]  # Ray warns of what it will change

TASK = """
    from rrr_core import failed, hookimpl, passed, trusted

    @hookimpl
    def rrr_load_dataset(split):
        for number in range(240):
            yield {"number": number, "mixed": [1, 1.0, None, "2020-01-01", {}][number % 5]}

    @hookimpl
    def rrr_prompt(row):
        return f"Say {row}."

    @hookimpl
    @trusted
    def rrr_verify(row, answer):
        return passed() if answer.startswith("right") else failed("wrong", answer)
"""
ENGINE = """
    import os, random, time
    from rrr_core.generation import Engine, EngineSpec, Generation
    from rrr_core.hookspecs import Model

    class Slow(Engine):
        def __init__(self, name):
            self.model = Model(name)

        def generate(self, conversations, sampling, on_done=None):
            time.sleep(0.1)
            texts = [each[-1]["content"] for each in conversations]
            if self.model.name == "poisoned" and any("'number': 21," in text for text in texts):
                os._exit(1)
            draws = [random.Random(f"{sampling.seed} {text}").random() for text in texts]
            return [Generation("right" if draw < 0.5 else f"wrong {draw}", tuple(b"token")) for draw in draws]

        def describe(self):
            return {"backend": "slow", "name": self.model.name}

    ENGINE = EngineSpec(open="rrr_slow:run")

    def run(settings):
        return Slow(settings.model)
"""
SETTINGS = MineSettings(rows=240, tries=3, shard_rows=4, seed=1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster whose machines have the task `slow` and the engine `slow` installed."""
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("site")
    site = FakeSite(folder)
    site.install("rrr-slow", modules={"rrr_slow_task": TASK, "rrr_slow": ENGINE}, tasks={"slow": "rrr_slow_task"},
                 engines={"slow": "rrr_slow:ENGINE"})  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("RAY_worker_niceness", "0")
        memory = {"object_store_memory": 80_000_000}
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **memory})
        made.machines = [made.add_node(num_cpus=1, **memory) for _ in range(2)]
        yield made
        made.shutdown()


def model(name: str = "sound") -> ModelSettings:
    return ModelSettings(model=name, backend="slow")


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*.jsonl"))}


def mined_here(folder: Path) -> dict[str, bytes]:
    mine(load_task("slow"), make_engine(model()), folder, SETTINGS, {})
    return shards(folder)


def mined_there(folder: Path, cluster: Any, name: str = "sound") -> dict[str, bytes]:
    pool = RayPool(ClusterSettings(ray=cluster.address, ray_actors=2))
    with Actors(pool, pool.wanted, model(name)) as actors:
        mine(load_task("slow"), actors.engine, folder, SETTINGS, {}, executor=actors)
    return shards(folder)


def processes_of(machine: Any) -> list[int]:
    """A machine's raylet, then all that it has started."""
    found = [machine.all_processes["raylet"][0].process.pid]
    for pid in found:
        for path in Path("/proc").glob(f"{pid}/task/*/children"):
            found += map(int, path.read_text().split())
    return found


def is_actor(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::ShardActor")
    except OSError:
        return False


def killing(folder: Path, cluster: Any) -> Thread:
    """Once some shards are there, kills an actor, and then a whole machine."""

    def kill() -> None:
        while len(shards(folder)) < 5:
            time.sleep(0.05)
        actor = next(pid for machine in cluster.machines for pid in processes_of(machine) if is_actor(pid))
        os.kill(actor, signal.SIGKILL)
        while len(shards(folder)) < 15:
            time.sleep(0.05)
        machine = cluster.machines.pop()
        for pid in processes_of(machine):
            os.kill(pid, signal.SIGKILL)

    thread = Thread(target=kill)
    thread.start()
    return thread


def test_a_poisonous_row_ends_the_job_in_one_line_that_names_its_shard(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "DEATHS", 1)
    with pytest.raises(
        RrrError, match=r"rows 20 to 23 \(shard-00005-3\) died, 2 times: The actor .*its worker process"
    ):
        mined_there(tmp_path, cluster, "poisoned")
    assert len(shards(tmp_path)) == 5


def test_a_killed_actor_and_a_killed_machine_change_no_byte(tmp_path: Path, cluster: Any) -> None:
    (tmp_path / "there").mkdir()
    kills = killing(tmp_path / "there", cluster)
    there = mined_there(tmp_path / "there", cluster)
    kills.join()
    assert len(there) == 60
    assert there == mined_here(tmp_path / "here")
    assert len(cluster.machines) == 1


def test_an_address_without_a_cluster_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "JOINED_WITHIN", 0.0)
    with pytest.raises(RrrError, match="nothing answers at 127.0.0.1:1"):
        RayPool(ClusterSettings(ray="127.0.0.1:1"))


@pytest.mark.parametrize("address", ["ray://127.0.0.1:1", "here", "http://x:1", "x:y", ":1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(RrrError, match="give HOST:PORT"):
        answers(address)
