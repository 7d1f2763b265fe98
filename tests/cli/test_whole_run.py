"""A whole run with a real, tiny model: interrupted and resumed, it ends with the same bits and redoes nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.train, pytest.mark.timeout(900)]

SETTINGS = """
[mine]
rows = 12
tries = 2
max_tokens = 12
[train]
steps = 8
group_size = 2
batch_size = 8
micro_batch_size = 4
learning_rate = 0.01
max_reflection_tokens = 8
max_retry_tokens = 8
save_every = 1
[eval]
rows = 8
max_tokens = 12
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny untrained model and settings to match."""
    from rrr_core.tasks import load_task
    from rrr_core.training.tiny import make_model, make_tokenizer
    from rrr_core.training.warmup_settings import WarmupSettings

    folder = tmp_path_factory.mktemp("place")
    conversations = load_task("countdown").warmup("train", 200, 0)
    tokenizer = make_tokenizer((message["content"] for talk in conversations for message in talk), 400)
    model = make_model(tokenizer, WarmupSettings(hidden_size=16, layers=1, heads=2))
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    (folder / "tiny.toml").write_text(SETTINGS)
    return folder


def start(
    place: Path, folder: str, *options: str, command: str = "run", tasks: tuple[str, ...] = ("countdown",)
) -> subprocess.Popen[str]:
    # A shell's background job ignores Ctrl-C, and so do the programs it starts.
    hearing = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{hearing}; from rrr_core.cli import main; sys.argv[0] = 'rrr'; main()"
    arguments = [command, *tasks, "--model", "model", "--config", "tiny.toml", "--folder", folder, *options]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def finished(place: Path) -> tuple[Path, str, str]:
    """An uninterrupted run: its folder, stdout and stderr."""
    process = start(place, "whole")
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    return place / "whole", out, err


def test_a_run_ends_with_figures_before_and_after_and_a_report(finished: tuple[Path, str, str]) -> None:
    folder, out, err = finished
    assert "second try after reflection" in out
    assert "vanilla" in out
    assert out.endswith("report: whole/report.html\n")
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8")
    assert "%|" not in err, "libraries draw bars across ours"
    comparison = json.loads((folder / "eval" / "comparison.json").read_text())
    assert comparison["labels"] == ["vanilla", "trained"]


def test_ctrl_c_and_the_same_command_end_with_the_same_bits(place: Path, finished: tuple[Path, str, str]) -> None:
    process = start(place, "parts")
    while not list((place / "parts").glob("train/checkpoint-1/complete.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=400)
    assert process.returncode == 130, err
    assert err.endswith("rrr: interrupted: run the same command again to resume.\n")
    assert "Traceback" not in err

    resumed = start(place, "parts")
    _, err = resumed.communicate(timeout=400)
    assert resumed.returncode == 0, err
    assert "mine: finished earlier" in err
    for part in ("train/model/model.safetensors", "mine/shard-00000.jsonl", "eval/trained/sampled-00000.jsonl"):
        assert (place / "parts" / part).read_bytes() == (finished[0] / part).read_bytes(), part
    # The metrics contain times, so only their steps can be equal.
    assert steps(place / "parts") == steps(finished[0]) == list(range(1, 9))


def steps(folder: Path) -> list[int]:
    """The steps that a run logged, in order."""
    return [json.loads(line)["step"] for line in (folder / "train" / "metrics.jsonl").read_text().splitlines()]


def test_several_tasks_killed_at_any_moment_end_with_the_same_bits_as_uninterrupted(place: Path) -> None:
    def begin(folder: str) -> subprocess.Popen[str]:
        options = "--train-weights", "countdown=3", "--train-curriculum", "hard-first", "--train-steps", "3"
        return start(place, folder, *options, tasks=("countdown", "apigen"))

    whole = begin("both")
    out, err = whole.communicate(timeout=400)
    assert whole.returncode == 0, err
    assert out.index("countdown:\n") < out.index("apigen:\n") < out.index("report: both/report.html")
    for moment in ("tasks/countdown/mine/summary.json", "train/checkpoint-1/complete.json", "tasks/*/eval/*/greedy-*"):
        process = begin("killed")
        while not list((place / "killed").glob(moment)):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.kill()
        process.communicate(timeout=100)
    resumed = begin("killed")
    _, err = resumed.communicate(timeout=400)
    assert resumed.returncode == 0, err
    assert "mine countdown: finished earlier" in err
    files = ["train/model/model.safetensors", "train/episodes.jsonl"]
    for task in ("countdown", "apigen"):
        files += [f"tasks/{task}/{name}" for name in ("mine/shard-00000.jsonl", "eval/trained/sampled-00000.jsonl")]
    for file in files:
        assert (place / "killed" / file).read_bytes() == (place / "both" / file).read_bytes(), file
    assert steps(place / "killed") == [1, 2, 3]


def test_transfer_killed_in_its_second_training_ends_with_the_same_bits_as_uninterrupted(place: Path) -> None:
    def begin(folder: str) -> subprocess.Popen[str]:
        options = "--mixture", "--train-steps", "2", "--eval-modes", "sampled"
        return start(place, folder, *options, command="transfer", tasks=("countdown", "apigen"))

    whole = begin("matrix")
    out, err = whole.communicate(timeout=400)
    assert whole.returncode == 0, err
    assert out.index("nothing, % right") < out.index("mixture") < out.index("report: matrix/report.html")
    process = begin("cut")
    while not (place / "cut" / "trained" / "on-apigen" / "checkpoint-1" / "complete.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=100)
    resumed = begin("cut")
    _, err = resumed.communicate(timeout=400)
    assert resumed.returncode == 0, err
    assert "train on-countdown: finished earlier" in err
    models = [f"trained/on-{name}/model/model.safetensors" for name in ("countdown", "apigen", "mixture")]
    for file in ("transfer.json", *models):
        assert (place / "cut" / file).read_bytes() == (place / "matrix" / file).read_bytes(), file


def test_other_settings_for_a_finished_folder_are_refused(place: Path, finished: tuple[Path, str, str]) -> None:
    process = start(place, "whole", "--train-steps", "9")
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("rrr: whole was started with train.steps = 8, and this call has 9")
    assert err.count("\n") == 1


def test_a_model_that_does_not_exist_is_one_line(place: Path) -> None:
    # A shell's background job ignores Ctrl-C, and so do the programs it starts.
    hearing = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{hearing}; from rrr_core.cli import main; sys.argv[0] = 'rrr'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "mine", "countdown", "--model", "./nowhere"],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("rrr: ")] == done.stderr.splitlines()[-1:]
    assert "Traceback" not in done.stderr
    assert not (place / "runs").exists()
