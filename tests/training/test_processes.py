"""Training in two processes: its texts and weights are those of one, with and without a shared prompt."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file

from rrr_core.runs.files import write_lines
from rrr_core.runs.layout import TrainFolder
from tests.training.conftest import coin_failures

pytestmark = pytest.mark.train
NEEDS_GLOO = pytest.mark.skipif(
    not torch.distributed.is_gloo_available(), reason="needs torch's gloo, to join processes on a CPU"
)

SCRIPT = """
import dataclasses, sys
from pathlib import Path
from rrr_core.mining.failure_set import read_failures
from rrr_core.generation import ModelSettings
from rrr_core.progress import Progress
from rrr_core.training.run import leave_processes, train
from rrr_core.training.settings import TrainSettings
from tests.training.conftest import CoinTask

folder, model = Path(sys.argv[1]), sys.argv[2]
settings = TrainSettings(
    steps=1, group_size=4, batch_size=32, micro_batch_size=8, learning_rate=1.0, kl=0.1, temperature=1.0,
    scheduler="constant", warmup_ratio=0.0, max_reflection_tokens=6, max_retry_tokens=5, save_every=1, max_abstain=1.0,
    grpo={"optim": "sgd", "max_grad_norm": "1e9"},
)
failures = read_failures(folder / "failures.jsonl")
# A group of eight lies in both processes, and its rounds in either.
rounds = dataclasses.replace(settings, rounds=3, round_discount=0.5, group_size=8, batch_size=40, micro_batch_size=4)
both = dataclasses.replace(settings, consolidate="both", max_attempt_tokens=6, micro_batch_size=4)
# One generation serves two steps, each of which takes its share of either process.
dealt = dataclasses.replace(
    settings, steps=2, batch_size=16, micro_batch_size=4, save_every=2,
    grpo={**settings.grpo, "steps_per_generation": "8"},
)
live = dataclasses.replace(
    settings, batch_size=16, micro_batch_size=4, on_policy_attempts=True, zero_variance="resample", max_attempt_tokens=6
)
kinds = {"": settings, "-3": rounds, "-both": both, "-dealt": dealt, "-live": live}
for kind, run in kinds.items():
    for name, shares in (("shared", True), ("padded", False)) if sys.argv[3] == "2" else (("one", True),):
        one = dataclasses.replace(run, shared_prompt=shares)
        train(CoinTask(), failures, ModelSettings(model=model), folder / f"{name}{kind}", one, Progress())
resumed = dataclasses.replace(settings, steps=2, batch_size=16, micro_batch_size=4)
train(CoinTask(), failures, ModelSettings(model=model), folder / f"resumed-{sys.argv[3]}", resumed, Progress())
leave_processes()
"""


KINDS = ("", "-3", "-both", "-dealt", "-live")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with trainings of each kind, in one process and, with either forward pass, in two."""
    folder = tmp_path_factory.mktemp("processes")
    write_lines(folder / "failures.jsonl", (failure.to_json() for failure in coin_failures()))
    (folder / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    for start, count in (([sys.executable], "1"), (launch, "2")):
        done = subprocess.run(
            [*start, str(folder / "script.py"), str(folder), str(tiny_model), count],
            env=environment, cwd=folder, capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        if count == "1":
            interrupted_copy(TrainFolder(folder / "resumed-1"), TrainFolder(folder / "resumed-2"))
    return folder


def interrupted_copy(finished: TrainFolder, copy: TrainFolder) -> None:
    """A training as if it had been killed after its first checkpoint."""
    shutil.copytree(finished.path, copy.path)
    for path in (copy.model, copy.checkpoint(2)):
        shutil.rmtree(path)
    for path in (copy.summary, copy.digests):
        path.unlink()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


@NEEDS_GLOO
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_move_the_weights_alike_with_and_without_shared_prompts(
    kind: str, trained: Path, tiny_model: Path
) -> None:
    before, padded = load_file(tiny_model / "model.safetensors"), weights(trained / f"padded{kind}")
    shared = weights(trained / f"shared{kind}")
    assert any((weight != before[name]).any() for name, weight in shared.items())
    for name, weight in shared.items():
        torch.testing.assert_close(weight, padded[name], rtol=1e-4, atol=1e-5)


@NEEDS_GLOO
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_sample_the_texts_of_one_and_move_the_weights_alike(kind: str, trained: Path) -> None:
    one, two = trained / f"one{kind}", trained / f"shared{kind}"
    assert (two / "episodes.jsonl").read_bytes() == (one / "episodes.jsonl").read_bytes()
    theirs = weights(one)
    for name, weight in weights(two).items():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-4, atol=1e-5)


@NEEDS_GLOO
def test_two_processes_resume_what_one_started(trained: Path) -> None:
    one, two = (TrainFolder(trained / f"resumed-{count}") for count in (1, 2))
    kept = [each.checkpoint(1) / "complete.json" for each in (one, two)]
    assert kept[0].stat().st_mtime_ns == kept[1].stat().st_mtime_ns, "it was made again"
    assert two.episodes.read_bytes() == one.episodes.read_bytes()
    theirs = weights(one.path)
    for name, weight in weights(two.path).items():
        torch.testing.assert_close(weight, theirs[name], rtol=0, atol=1e-6)
