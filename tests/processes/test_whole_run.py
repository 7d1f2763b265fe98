"""A whole run in two processes, killed twice: its texts are those of one process, and so are its weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file

from rrr_core.cli import run_command
from rrr_core.runs.layout import TrainFolder

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
    pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="needs torch's gloo, to join processes"),
]

OPTIONS = [
    *("countdown", "--mine-rows", "24", "--mine-tries", "2", "--mine-shard-rows", "4", "--mine-max-tokens", "60"),
    *("--train-steps", "3", "--train-group-size", "4", "--train-batch-size", "8", "--train-micro-batch-size", "4"),
    *("--train-learning-rate", "1e-4", "--train-save-every", "1", "--train-zero-variance", "resample"),
    *("--train-max-reflection-tokens", "30", "--train-max-retry-tokens", "16"),
    *("--eval-rows", "12", "--eval-shard-rows", "3", "--eval-modes", "greedy", "--eval-max-tokens", "40"),
]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), "HF_HUB_OFFLINE": "1"}


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rrr_core", *arguments, "--processes", "2"]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 240
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def ranks_of(launcher: int) -> list[int]:
    """The processes that a launcher has started, which are its only children that run our package."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher and b"rrr_core" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return sorted(found)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A run in one process; one whose rank was killed in mining, whose launcher was killed in training, and that one
    process finished; and what the killed one said.
    """
    folder = tmp_path_factory.mktemp("processes")
    alone, killed = folder / "alone", folder / "killed"
    assert run_command(["run", *OPTIONS, "--folder", str(alone)]) == 0
    process = start("run", *OPTIONS, "--folder", str(killed))
    wait_for(lambda: any((killed / "mine").glob("shard-*")), process)
    os.kill(ranks_of(process.pid)[-1], signal.SIGKILL)
    wait_for(lambda: (TrainFolder(killed / "train").checkpoint(1) / "complete.json").exists(), process)
    ranks = ranks_of(process.pid)
    process.kill()
    said = process.communicate()[1]
    until = time.monotonic() + 30
    while any(Path(f"/proc/{rank}/cwd").exists() and rank in ranks_of(1) for rank in ranks):
        assert time.monotonic() < until, "the ranks outlive their launcher"
        time.sleep(0.1)
    assert run_command(["run", *OPTIONS, "--folder", str(killed)]) == 0
    return alone, killed, said


def test_all_texts_are_equal_to_the_byte(runs: tuple[Path, Path, str]) -> None:
    alone, killed, _ = runs
    names = [path.relative_to(alone) for path in [*alone.glob("mine/shard-*"), *alone.glob("eval/vanilla/*.jsonl")]]
    assert len(names) == 6 + 4
    for name in [*names, Path("train/episodes.jsonl"), Path("eval/vanilla/figures.json")]:
        assert (killed / name).read_bytes() == (alone / name).read_bytes(), name


def test_the_weights_agree(runs: tuple[Path, Path, str]) -> None:
    one, other = (load_file(run / "train" / "model" / "model.safetensors") for run in runs[:2])
    assert max(float((weight - other[name]).abs().max()) for name, weight in one.items()) < 1e-6


def test_a_killed_rank_is_named_once_and_nothing_is_left_over(runs: tuple[Path, Path, str]) -> None:
    _, killed, said = runs
    assert said.count("was killed (SIGKILL): all are started again, and resume.") == 1
    assert "Traceback" not in said
    assert not (killed / "mine" / ".claims").exists()


def test_what_all_processes_refuse_is_one_line(runs: tuple[Path, Path, str]) -> None:
    process = start("mine", "countdown", "--rows", "99", "--folder", str(runs[0]))
    out, said = process.communicate(timeout=240)
    assert (process.returncode, out) == (2, "")
    assert [line.partition(" was ")[2] for line in said.splitlines() if line.startswith("rrr:")] == [
        "started with settings.rows = 24, and this call has 99: use another folder, or the same value to resume."
    ]
