"""DeepSpeed's ZeRO over two ranks: as one rank, and with checkpoints of one. Skipped where DeepSpeed is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("deepspeed", reason="DeepSpeed is not installed")

from tests.training.sharded_runs import run
from tests.training.test_sharding import ROOT, assert_alike, cut_back

pytestmark = [pytest.mark.train, pytest.mark.timeout(1200)]  # DeepSpeed compiles when it first starts

CASES = [(stage, kind) for stage in ("zero2", "zero3") for kind in ("whole", "lora")]


@pytest.fixture(scope="module")
def runs(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: of one process, of two with ZeRO, and of either that goes on with the other's."""
    folder, model = tmp_path_factory.mktemp("runs"), str(tiny_model)
    for kind in ("whole", "lora"):
        run(kind, model, str(folder / f"one-{kind}"))
    jobs = []
    for stage, kind in CASES:
        cut_back(folder / f"one-{kind}", folder / f"one-then-{stage}-{kind}")
        for name in (f"{stage}-{kind}", f"one-then-{stage}-{kind}"):
            jobs.append({"kind": kind, "model": model, "folder": str(folder / name), "sharding": stage})
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tests.training.sharded_runs"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *launch, json.dumps(jobs)],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for stage, kind in CASES:
        cut_back(folder / f"{stage}-{kind}", folder / f"{stage}-then-one-{kind}")
        run(kind, model, str(folder / f"{stage}-then-one-{kind}"))
    return folder


@pytest.mark.parametrize(("stage", "kind"), CASES)
def test_two_ranks_end_with_the_weights_of_one(stage: str, kind: str, runs: Path) -> None:
    assert_alike(runs / f"one-{kind}", runs / f"{stage}-{kind}")


@pytest.mark.parametrize(("stage", "kind"), CASES)
def test_a_run_resumes_with_and_without_zero(stage: str, kind: str, runs: Path) -> None:
    assert_alike(runs / f"one-{kind}", runs / f"one-then-{stage}-{kind}")
    assert_alike(runs / f"one-{kind}", runs / f"{stage}-then-one-{kind}")


def test_a_checkpoint_holds_no_file_of_deepspeeds_own(runs: Path) -> None:
    names = {path.name for path in (runs / "zero3-whole" / "checkpoint-1").iterdir()}
    assert "optimizer.pt" in names
    assert not [name for name in names if name.startswith(("global_step", "zero_", "latest"))]
