"""`rrr plan` reads a model's configuration alone, says what fits, and refuses in one line what `rrr run` would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
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
    source = own_model()
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(source / name, folder)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def own_model() -> Path:
    """Countdown's own small model."""
    import rrr_countdown

    return Path(rrr_countdown.__file__).parent / "model"


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
    for stage in plan["stages"]:
        few, many = stage["tokens_range"]
        assert few < sum(stage["tokens"][kind] for kind in ("prompt", "written", "trained", "scored")) < many
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
    assert run_command(["plan", "countdown", "--model", str(model), *AT_HOME, "--train-micro-batch-size", "16"]) == 0
    said = capsys.readouterr().out
    for word in ("stage", "eval trained", "disk", "sharding", "It fits as asked"):
        assert word in said, said


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


def test_a_task_in_steps_with_adapters_and_deciders_is_probed_within_its_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("rrr_sqlite")
    few = ("--mine-rows", "64", "--eval-rows", "64", "--probe-seconds", "1")
    began = time.process_time()
    assert run_command(["plan", "sqlite", *few, "--train-lora-rank", "4", "--eval-decide", "model", "--json"]) == 0
    assert time.process_time() - began < 30  # imports and loading among them
    plan = json.loads(capsys.readouterr().out)
    training = plan["stages"][1]
    assert 0 < plan["disk"]["model"] < training["memory"]["weights"] / 4
    assert plan["seconds"] > 0
    assert any("measured here" in note for note in plan["notes"])


def test_deciders_have_more_written(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    without = planned(capsys, "--model", str(model), *AT_HOME)
    asked = planned(capsys, "--model", str(model), *AT_HOME, "--eval-decide", "model")
    for old, new in zip(without["stages"], asked["stages"], strict=True):
        if old["stage"].startswith("eval"):
            assert new["tokens"]["written"] > old["tokens"]["written"]
        else:
            assert new["tokens"] == old["tokens"]


@pytest.mark.parametrize(("dtype", "said"), [("bfloat16", 1), ("float32", 0)])
def test_the_plan_says_which_weights_a_step_would_not_move(
    dtype: str, said: int, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("--mine-rows", "64", "--eval-rows", "64", "--probe-seconds", "1", "--train-learning-rate", "5e-7")
    notes = planned(capsys, "--dtype", dtype, *small)["notes"]
    assert sum("of the weights cannot move: in bfloat16 a step of the learning rate" in each for each in notes) == said


SEVERAL = ["mine countdown", "mine apigen", "train"]
SEVERAL += [f"eval {label} {task}" for label in ("vanilla", "trained") for task in ("countdown", "apigen")]


def test_several_tasks_are_probed_each_for_its_share_of_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rrr_apigen")
    few = ("--mine-rows", "32", "--eval-rows", "32", "--probe-seconds", "1")
    assert run_command(["plan", "countdown", "apigen", "--model", str(own_model()), *few, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [stage["stage"] for stage in plan["stages"]] == SEVERAL
    assert all(stage["seconds"] > 0 for stage in plan["stages"])


def test_a_past_run_of_several_tasks_gives_each_its_own_texts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rrr_apigen")
    from rrr_core.mining import MineSettings, mine
    from rrr_core.runs.layout import RunFolder
    from rrr_core.tasks import load_task
    from tests.fakes import ScriptedGenerator

    run = RunFolder(tmp_path / "run")
    for name, length in (("countdown", 10), ("apigen", 40)):
        engine = ScriptedGenerator(lambda _conversation, _chance, length=length: "x" * length)  # type: ignore[misc]
        mine(load_task(name, ()), engine, run.of_task(name).mine.path, MineSettings(rows=4, tries=1), {})
    given = ("--model", str(own_model()), "--from", str(run.path), "--mine-rows", "32", "--mine-tries", "1")
    assert run_command(["plan", "countdown", "apigen", *given, "--eval-rows", "32", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [stage["stage"] for stage in plan["stages"]] == SEVERAL
    assert [stage["tokens"]["written"] for stage in plan["stages"][:2]] == [32 * 10, 32 * 40]


def test_a_gguf_file_is_converted_and_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gguf")
    from tests.generation.gguf_files import write_model
    from tests.generation.tiny import make_network, make_tokenizer

    monkeypatch.chdir(tmp_path)
    tokenizer = make_tokenizer()
    file = write_model(tmp_path / "Tiny.gguf", make_network(tokenizer), tokenizer)
    plan = planned(capsys, "--model", str(file), *AT_HOME)
    assert plan["as_asked"]["fits"] == "yes"


def test_the_help_loads_no_torch() -> None:
    code = (
        "import sys\nfrom rrr_core.cli import run_command\nassert run_command(['plan', '--help']) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--accelerator" in done.stdout
