"""A model folder with named chat templates, as Cohere's and others have, through every stage that reads or saves it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from rrr_core import cli


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained model with a second template in `additional_chat_templates/`."""
    from rrr_core.tasks import load_task
    from rrr_core.training.tiny import make_model, make_tokenizer
    from rrr_core.training.warmup_settings import WarmupSettings

    folder = tmp_path_factory.mktemp("named") / "model"
    conversations = load_task("countdown").warmup("train", 200, 0)
    tokenizer = make_tokenizer((message["content"] for talk in conversations for message in talk), 400)
    make_model(tokenizer, WarmupSettings(hidden_size=16, layers=1, heads=2)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    more = folder / "additional_chat_templates"
    more.mkdir()
    (more / "tool_use.jinja").write_text("TOOLS" + (folder / "chat_template.jinja").read_text())
    return folder


def rrr(*arguments: str) -> int:
    return cli.run_command([*arguments, "--config", "tiny.toml"])


def templates_of(folder: Path) -> tuple[str, str]:
    more = sorted((folder / "additional_chat_templates").iterdir())
    assert [path.name for path in more] == ["tool_use.jinja"]
    return (folder / "chat_template.jinja").read_text(), more[0].read_text()


def test_every_stage_works_with_named_templates_and_trained_models_keep_them_all(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(
        "[mine]\nrows = 8\ntries = 1\nmax_tokens = 8\n"
        "[train]\nsteps = 1\ngroup_size = 2\nbatch_size = 8\nmax_reflection_tokens = 8\nmax_retry_tokens = 8\n"
        "[eval]\nrows = 4\nmax_tokens = 8\n[warmup]\nconversations = 64\n"
    )
    options = ("countdown", "--model", str(model))
    for stage in ("mine", "train", "eval"):
        assert rrr(stage, *options, "--folder", "run") == 0
    assert rrr("warmup", *options, "--folder", "warm") == 0
    for saved in ("run/train/model", "warm/warmup/model"):
        assert templates_of(tmp_path / saved) == templates_of(model)
    assert rrr("eval", "countdown", "--model", "run/train/model", "--folder", "after") == 0


def test_the_template_that_the_user_names_is_used_and_recorded(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text("[mine]\nrows = 4\ntries = 1\nmax_tokens = 8\n")
    mine = ("mine", "countdown", "--model", str(model), "--folder", "run")
    assert rrr(*mine, "--template-name", "tool_use") == 0
    manifest = json.loads((tmp_path / "run" / "mine" / "manifest.json").read_text())
    assert '"template_name": "tool_use"' in json.dumps(manifest)
    capsys.readouterr()
    assert rrr(*mine, "--template-name", "tool") == 2
    assert "has no chat template named 'tool'. Did you mean 'tool_use'?" in capsys.readouterr().err
