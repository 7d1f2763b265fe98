"""Training in two processes: the shared prompt gives each of them the numbers of a padded batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file

pytestmark = pytest.mark.train

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
for kind, run in (("", settings), ("-3", rounds), ("-both", both)):
    for name, shares in (("shared", True), ("padded", False)):
        one = dataclasses.replace(run, shared_prompt=shares)
        train(CoinTask(), failures, ModelSettings(model=model), folder / f"{name}{kind}", one, Progress())
leave_processes()
"""


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="needs torch's gloo, to join processes on a CPU")
def test_two_processes_move_the_weights_alike_with_and_without_shared_prompts(
    tmp_path: Path, tiny_model: Path, failures: list[object]
) -> None:
    from rrr_core.runs.files import write_lines

    write_lines(tmp_path / "failures.jsonl", (failure.to_json() for failure in failures))  # type: ignore[attr-defined]
    (tmp_path / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [*launch, str(tmp_path / "script.py"), str(tmp_path), str(tiny_model)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    before = load_file(tiny_model / "model.safetensors")
    for kind in ("", "-3", "-both"):
        names = f"shared{kind}", f"padded{kind}"
        shared, padded = (load_file(tmp_path / name / "model" / "model.safetensors") for name in names)
        assert any((weight != before[name]).any() for name, weight in shared.items())
        for name, weight in shared.items():
            torch.testing.assert_close(weight, padded[name], rtol=1e-4, atol=1e-5)
