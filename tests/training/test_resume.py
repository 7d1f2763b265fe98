"""A stopped and resumed run ends bit-identical to an uninterrupted one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.errors import RrrError, TooManyAbstentions
from rrr_core.progress import Progress
from rrr_core.training.checkpoints import newest_checkpoint
from rrr_core.training.run import train
from tests.training.conftest import CoinTask, coin_job

pytestmark = pytest.mark.train


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()


class StopAfter(Progress):
    """Presses Ctrl-C after a number of steps of this call."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def track(self, title: str, total: int, done: int = 0) -> Any:
        from contextlib import nullcontext

        left = [self.steps]

        def advance(count: int, note: str = "") -> None:
            left[0] -= count
            if left[0] <= 0:
                raise KeyboardInterrupt

        return nullcontext(advance)


@pytest.mark.parametrize("stop", [3, 5, 7])
def test_an_interrupted_and_resumed_run_ends_bit_equal_to_an_uninterrupted_one(
    stop: int, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    """12 failures in batches of 4 groups make epochs of 3 steps, so the stops fall in the first, second and third."""
    settings = dataclasses.replace(settings, steps=8)
    train(CoinTask(), failures, model_settings, tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        train(CoinTask(), failures, model_settings, tmp_path / "cut", settings, StopAfter(stop))
    assert newest_checkpoint(tmp_path / "cut")[1] is not None
    train(CoinTask(), failures, model_settings, tmp_path / "cut", settings)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    for name in ("episodes.jsonl",):
        assert (tmp_path / "cut" / name).read_text() == (tmp_path / "whole" / name).read_text()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"refresh_every": 3, "max_attempt_tokens": 6, "zero_variance": "resample"},
        {"rounds": 3, "round_discount": 0.5, "zero_variance": "resample"},
        {"consolidate": "both", "max_attempt_tokens": 6},
        {"weights": "dice=2", "curriculum": "easy-first", "refresh_every": 3, "zero_variance": "resample"},
        {"credit": "all", "refresh_every": 3, "max_attempt_tokens": 6, "consolidate": "both", "max_steps": 3},
    ],
    ids=["mined attempts", "refreshed attempts", "three rounds", "consolidation", "two tasks", "courses of actions"],
)
def test_a_run_killed_at_any_moment_ends_bit_equal_to_an_uninterrupted_one(
    changes: dict[str, Any], tiny_model: Path, tmp_path: Path, model_settings: Any, settings: Any
) -> None:
    settings = dataclasses.replace(settings, steps=6, save_every=1, **changes)
    tasks, failures = coin_job(changes)
    train(tasks, failures, model_settings, tmp_path / "whole", settings)
    script = tmp_path / "job.py"
    script.write_text(
        textwrap.dedent(
            """
            import json, sys
            from pathlib import Path
            from rrr_core.generation import ModelSettings
            from rrr_core.training.run import train
            from rrr_core.training.settings import TrainSettings
            from tests.training.conftest import coin_job
            tasks, failures = coin_job(json.loads(sys.argv[3]))
            settings = TrainSettings(steps=6, group_size=4, batch_size=16, micro_batch_size=8, learning_rate=1e-3,
                                     kl=0.01, temperature=1.0, max_reflection_tokens=6, max_retry_tokens=5,
                                     save_every=1, max_abstain=1.0, **json.loads(sys.argv[3]))
            train(tasks, failures, ModelSettings(model=sys.argv[1]), Path(sys.argv[2]), settings)
            """
        )
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_WAIT_POLICY": "passive"}
    folder = tmp_path / "killed"
    for checkpoints in (1, 3):
        job = subprocess.Popen(
            [sys.executable, script, tiny_model, folder, json.dumps(changes)], env=environment, cwd=root
        )
        deadline = time.monotonic() + 120
        while not (folder / f"checkpoint-{checkpoints}").exists() and job.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        job.send_signal(signal.SIGKILL)
        assert job.wait() == -signal.SIGKILL
        assert not (folder / "model").exists()
    train(tasks, failures, model_settings, folder, settings)
    assert weights(folder) == weights(tmp_path / "whole")
    assert (folder / "episodes.jsonl").read_text() == (tmp_path / "whole" / "episodes.jsonl").read_text()


def test_a_finished_run_is_not_run_again(failures: Any, model_settings: Any, settings: Any, tmp_path: Path) -> None:
    first = train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    assert train(CoinTask(), failures, model_settings, tmp_path / "t", settings, StopAfter(0)) == first


def test_other_settings_are_refused_for_a_folder_that_holds_a_run(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, steps=1))
    with pytest.raises(RrrError, match="steps"):
        train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, steps=2))


def test_a_run_stopped_by_abstentions_resumes_with_a_higher_limit(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    strict = dataclasses.replace(settings, max_abstain=0.01, steps=8)
    with pytest.raises(TooManyAbstentions):
        train(CoinTask(abstain_every=3), failures, model_settings, tmp_path / "t", strict)
    loose = dataclasses.replace(strict, max_abstain=1.0)
    assert train(CoinTask(abstain_every=3), failures, model_settings, tmp_path / "t", loose).abstentions > 0
