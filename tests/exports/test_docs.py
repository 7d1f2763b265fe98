"""`docs/exports.md` is true: its snippets run, with small models instead of large ones."""

from __future__ import annotations

import inspect
import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.generation.served import completion, serving

PAGE = ROOT / "docs" / "exports.md"


def snippet(section: str, language: str = "python") -> Block:
    (found,) = [block for block in blocks(PAGE) if (block.section, block.language) == (section, language)]
    return found


def run(text: str, **names: Any) -> dict[str, Any]:
    exec(compile(text, str(PAGE), "exec"), names)
    return names


def arguments_of_the_page() -> list[str]:
    """The arguments that the page says all exports take."""
    (table,) = re.findall(r"\| argument \| means \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE.read_text(encoding="utf-8"))
    return re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE)))


@pytest.mark.train
def test_trls_snippet_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from rrr_core.training.tiny import make_model, make_tokenizer
    from rrr_core.training.warmup_settings import WarmupSettings

    tokenizer = make_tokenizer(["Using the numbers create an equation"] * 4, 512 + 64)
    settings = WarmupSettings(hidden_size=32, layers=2, heads=2, context=512, seed=3)
    make_model(tokenizer, settings).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    small = "max_steps=1, max_completion_length=4, num_generations=4, per_device_train_batch_size=4"
    text = snippet("TRL").text.replace("Qwen/Qwen3-0.6B", str(tmp_path / "model"))
    text = text.replace("rows=2000", "rows=4").replace(
        'output_dir="grpo-countdown"', f'output_dir="grpo", {small}, use_cpu=True, bf16=False, report_to=[]'
    )
    assert run(text)["trainer"].state.global_step == 1


def test_trls_data_set_takes_the_arguments_of_the_page() -> None:
    from rrr_core.exports import trl

    assert set(arguments_of_the_page()) <= set(inspect.signature(trl.dataset).parameters)


@pytest.mark.exports
def test_verifiers_commands_run(tmp_path: Path) -> None:
    pytest.importorskip("verifiers", reason="the extra verifiers is not installed")
    environ = {**os.environ, "HOME": str(tmp_path)}
    with serving(lambda handler, body: handler.send(200, completion("<answer>1+1</answer>"))) as stage:
        for line in snippet("verifiers", "sh").text.splitlines():
            program, *options = shlex.split(line.replace("http://127.0.0.1:8000/v1", stage.base_url))
            command = [str(Path(sys.executable).with_name(program)), *options, "-n", "2", "--no-rich"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environ)
            assert done.returncode == 0, done.stderr
    assert '"valid_rate": 1.0' in done.stdout


@pytest.mark.exports
def test_verifiers_snippet_prints_three_prompts(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("verifiers", reason="the extra verifiers is not installed")
    run(snippet("verifiers").text)
    assert capsys.readouterr().out.count("Using the numbers") == 3


@pytest.mark.exports
def test_verifiers_takes_the_arguments_of_the_page() -> None:
    pytest.importorskip("verifiers", reason="the extra verifiers is not installed")
    from rrr_core.exports.verifiers import RowTasksetConfig

    assert set(arguments_of_the_page()) <= set(RowTasksetConfig.model_fields)


@pytest.mark.exports
def test_inspects_snippet_prints_both_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("inspect_ai", reason="the extra inspect is not installed")
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    output = ModelOutput.from_content("mockllm/model", "<answer>1+1</answer>")
    output.usage = ModelUsage()
    monkeypatch.chdir(tmp_path)
    model = get_model("mockllm/model", custom_outputs=[output] * 6)
    run(snippet("inspect_ai").text.replace("rows=100", "rows=2").replace('"openai/gpt-5"', "model"), model=model)
    assert re.findall(r"(\w+) 0\.0 unscored: 0", capsys.readouterr().out) == ["verdict", "first_try"]


@pytest.mark.exports
def test_inspects_command_uses_existing_arguments() -> None:
    pytest.importorskip("inspect_ai", reason="the extra inspect is not installed")
    from inspect_ai._util.registry import registry_info, registry_lookup

    command = shlex.split(snippet("inspect_ai", "sh").text)
    made = registry_lookup("task", command[2])
    assert made is not None
    given = {text.partition("=")[0] for option, text in itertools.pairwise(command) if option == "-T"}
    taken = set(registry_info(made).metadata["params"])
    assert given
    assert given | set(arguments_of_the_page()) <= taken
    assert registry_lookup("solver", "rrr_core/reflect_and_retry") is not None
