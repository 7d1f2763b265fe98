"""GGUF files as `--model`: where commands have them converted, and what a missing one says."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from rrr_core import cli
from rrr_core.generation import ModelSettings, gguf_models
from rrr_core.pipeline import choose_model, opening


@pytest.mark.parametrize(("run", "beside"), [(Path("some/run"), "some/converted"), (None, "runs/converted")])
def test_a_gguf_model_is_converted_beside_the_run(
    monkeypatch: pytest.MonkeyPatch, run: Path | None, beside: str
) -> None:
    def converted(settings: ModelSettings, folder: Path, say: Callable[[str], None]) -> ModelSettings:
        return dataclasses.replace(settings, model=str(folder / "as-safetensors"))

    monkeypatch.setattr(opening, "with_gguf_converted", converted)
    assert choose_model(ModelSettings(model="a.gguf"), run=run).model == f"{beside}/as-safetensors"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.run_command([*arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    "command",
    [["mine", "countdown"], ["train", "countdown"], ["eval", "countdown"], ["run", "countdown"], ["doctor"]],
    ids=lambda command: command[0],
)
def test_every_command_knows_packaged_models(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = [] if command == ["doctor"] else ["--folder", str(tmp_path / "run")]
    line = refused(capsys, *command, "--model", "pip:no-such-thing", *folder)
    assert line == "rrr: 'pip:no-such-thing': no-such-thing is not installed: pip install no-such-thing"


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + bytes(3))
    line = refused(capsys, "mine", "countdown", "--model", str(tmp_path / "a.gguf"), "--folder", str(tmp_path / "run"))
    assert any(words in line for words in ("Fetch it again", "pip install 'rrr-core[train]'", "or later, and"))


def test_an_older_transformers_is_named_with_what_it_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_models, "version", {"transformers": "5.17.0"}.__getitem__)
    name = "rrr_core.generation.gguf_conversion"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))  # what it would import is not there
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + bytes(3))
    line = refused(capsys, "mine", "countdown", "--model", str(tmp_path / "a.gguf"), "--folder", str(tmp_path / "run"))
    assert "is a GGUF file, which takes transformers 5.20 or later, and 5.17.0 is installed" in line
