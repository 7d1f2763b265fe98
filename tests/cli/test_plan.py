"""`rrr plan` reads a model's configuration alone, says what fits, and refuses in one line what `rrr run` would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rrr_core.cli import run_command

pytest.importorskip("trl")
pytest.importorskip("rrr_countdown")
pytestmark = pytest.mark.train

QWEN = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "vocab_size": 151_936,
    "max_position_embeddings": 32_768,
    "tie_word_embeddings": True,
    "dtype": "bfloat16",
}
"""The shape of Qwen2.5-1.5B."""
SEVEN = {
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152_064,
    "tie_word_embeddings": False,
}
"""What is different in Qwen2.5-7B."""
AT_HOME = ("--accelerator", "H100", "--no-probe", "--mine-rows", "64", "--eval-rows", "64")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A configuration and a tokenizer, without weights."""
    return folder_of(tmp_path / "qwen", QWEN)


def folder_of(folder: Path, config: dict[str, Any]) -> Path:
    import rrr_countdown

    source = Path(rrr_countdown.__file__).parent / "model"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(source / name, folder)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run_command(["plan", "countdown", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_one_and_a_half_billion_weights_are_planned_from_their_configuration_alone(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(capsys, "--model", str(model), *AT_HOME, "--price", "2.5")
    assert [stage["stage"] for stage in plan["stages"]] == ["mine", "train", "eval vanilla", "eval trained"]
    training = plan["stages"][1]
    weights = training["memory"]["weights"]
    assert weights == pytest.approx(1.5437e9 * 4, rel=0.001)
    assert training["memory"]["optimiser"] == 2 * weights
    assert training["memory"]["reference"] == weights
    assert plan["stages"][0]["memory"]["weights"] == weights / 2  # mining has them as they are stored
    assert plan["as_asked"]["fits"] == "yes"
    assert plan["disk"]["checkpoints"] == pytest.approx(3 * 3 * weights, rel=0.001)
    assert plan["money"] == pytest.approx(plan["seconds"] / 3600 * 2.5)
    low, high = plan["seconds_range"]
    assert low < plan["seconds"] < high
    assert any("assumed" in note for note in plan["notes"])


def test_seven_billion_weights_need_several_processes_or_adapters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seven = str(folder_of(tmp_path / "seven", QWEN | SEVEN))
    alone = planned(capsys, "--model", seven, *AT_HOME)
    assert alone["cheapest"] is None
    assert "processes" in alone["verdict"]
    shared = planned(capsys, "--model", seven, *AT_HOME, "--processes", "8", "--train-micro-batch-size", "4")
    assert shared["cheapest"]["sharding"] in ("fsdp2", "zero2", "zero3")
    assert shared["cheapest"]["memory_at_most"] < 0.92 * 80e9
    adapted = planned(capsys, "--model", seven, *AT_HOME, "--train-lora-rank", "16")
    assert adapted["as_asked"]["fits"] == "yes"
    assert adapted["disk"]["model"] < 1e9


@pytest.mark.parametrize("sharding", ["none", "fsdp2", "zero3"])
def test_the_runs_own_sharding_is_what_is_asked_and_the_others_stand_beside_it(
    model: Path, capsys: pytest.CaptureFixture[str], sharding: str
) -> None:
    plan = planned(capsys, "--model", str(model), *AT_HOME, "--processes", "4", "--train-sharding", sharding)
    assert {way["sharding"] for way in plan["ways"]} == {"none", "zero2", "fsdp2", "zero3"}
    training = plan["stages"][1]
    assert plan["as_asked"]["sharding"] == sharding
    for key in ("memory_peak", "memory_at_most", "seconds"):
        assert plan["as_asked"][key] == pytest.approx(training[key])
    assert ("whole copy" in training["memory"]) == (sharding != "none")


def test_auto_is_a_process_for_each_gpu_of_this_machine(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 4)
    plan = planned(capsys, "--model", str(model), "--no-probe", "--gpu-memory", "80", "--processes", "auto")
    assert plan["processes"] == 4


def test_less_memory_fits_less(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned(capsys, "--model", str(model), *AT_HOME, "--gpu-memory", "24")
    assert plan["device"]["memory"] == 24e9
    assert plan["cheapest"] is None


def test_longer_limits_take_more_memory_and_more_time(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = planned(capsys, "--model", str(model), *AT_HOME, "--train-max-reflection-tokens", "128")
    long = planned(capsys, "--model", str(model), *AT_HOME, "--train-max-reflection-tokens", "2048")
    assert long["stages"][1]["memory_at_most"] > short["stages"][1]["memory_at_most"]
    assert long["seconds"] > short["seconds"]


def test_the_table_ends_in_a_verdict(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["plan", "countdown", "--model", str(model), *AT_HOME]) == 0
    said = capsys.readouterr().out
    for word in ("stage", "eval trained", "disk", "sharding", "It fits as asked"):
        assert word in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--accelerator", "TPU"], "no data sheet is known"),
        (["--from", "nowhere"], "no such run folder"),
        (["--from", "."], "holds no run to learn from"),
        (["--price", "-1"], "'--price'"),
        (["--processes", "3"], "--train-batch-size"),
        (["--processes", "0"], "--processes 0"),
        (["--processes", "many"], "--processes many"),
        (["--processes", "auto", "--accelerator", "H100"], "give a number"),
        (["--train-sharding", "fsdp2"], "would do nothing with one process"),
        (["--train-sharding", "zero9"], "'--train-sharding'"),
        (["--train-batch-size", "12"], "--train-micro-batch-size"),
        (["--sharding", "fsdp2"], "'--train-sharding'"),
        (["--gpu-memory", "much"], "'--gpu-memory'"),
        (["--mine-max-tokens", "0"], "'--mine-max-tokens'"),
        (["--base-url", "http://127.0.0.1:1/v1"], "cannot be trained"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_two(
    model: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["plan", "countdown", "--model", str(model), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_a_probe_without_weights_says_how_to_plan_without_one(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["plan", "countdown", "--model", str(model), "--probe"]) == 2
    assert "--no-probe" in capsys.readouterr().err


def test_the_help_loads_no_torch() -> None:
    code = (
        "import sys\nfrom rrr_core.cli import run_command\nassert run_command(['plan', '--help']) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--accelerator" in done.stdout
