"""`rrr doctor --model`: what a model's chat template does to an episode, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from rrr_core import cli
from tests.chat.table import TABLE
from tests.chat.templates import tokenizer_of

COSTS = {
    "earlier thoughts": "--keep-thoughts keeps them",
    "prompts": "cannot reuse the attempt's in a prefix cache",
    "replies": "needs --keep-thoughts",
    "thoughts": "name them with --thought-marks",
    "tools": "writes them into the text",
}


def saved(name: str, folder: Path) -> Path:
    """A folder with the template's tokenizer and a configuration, and no weights."""
    from transformers import LlamaConfig

    tokenizer = tokenizer_of(name)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    LlamaConfig(vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=None, **sizes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rrr_doctor(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    code = cli.run_command(["doctor", *options])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    "name", ["qwen2_5", "qwen3", "qwen3_6", "qwen3_5_nothink", "qwen3_8", "gptoss", "glm4moe", "llava_next"]
)
def test_the_row_of_the_table_is_printed_with_what_it_costs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = TABLE[name]
    code, out, err = rrr_doctor(capsys, "--model", str(saved(name, tmp_path / "model")), "--json")
    found = {each["name"]: each for each in json.loads(out)["findings"]}
    assert (code, err) == (0, "")
    assert {each["group"] for each in found.values()} == {"model"}
    expected = {
        "thoughts": row.thinking == "none",
        "earlier thoughts": not row.keeps_thoughts,
        "prompts": not row.shares_prompt,
        "replies": not all(row.extends),
        "tools": row.tools is None,
    }
    if row.thinking == "none":
        del expected["earlier thoughts"]
        assert "earlier thoughts" not in found
    for each, costs in expected.items():
        assert (found[each]["state"], COSTS[each] in found[each]["cost"]) == (
            ("missing", True) if costs else ("ok", False)
        )
    endings = {
        "opened": "the prompt opens one",
        "closed": "holds an empty one",
        "free": "may open one",
        "none": "no marks",
    }
    assert endings[row.thinking] in found["thoughts"]["detail"]
    assert all(token in found["end of turn"]["detail"] for token in row.ends)
    assert ("list of parts" in found["content"]["detail"]) is row.takes_parts
    assert ("first day" in found["date"]["detail"]) is row.writes_date


def test_options_of_the_template_change_the_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(saved("qwen3_6", tmp_path / "model"))
    code, out, _ = rrr_doctor(capsys, "--model", folder, "--template", "enable_thinking=false")
    assert (code, "holds an empty one" in out, "set: enable_thinking=False" in out) == (0, True, True)
    code, out, _ = rrr_doctor(capsys, "--model", folder, "--keep-thoughts")
    assert (code, "goes on from the ids that were sampled" in out) == (0, True)
    code, out, _ = rrr_doctor(capsys, "--model", folder, "--thought-marks", "none")
    assert (code, "no marks known" in out) == (0, True)


def test_a_switch_that_the_template_does_not_read_is_refused_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(saved("qwen3_6", tmp_path / "model"))
    code, out, err = rrr_doctor(capsys, "--model", folder, "--template", "enable_thnking=false")
    assert (code, out) == (2, "")
    assert "does not read 'enable_thnking'. Did you mean 'enable_thinking'? It reads add_vision_id, enable_" in err
    code, _, err = rrr_doctor(capsys, "--model", folder, "--template", "tools=[]")
    assert (code, err) == (2, "rrr: --template cannot set 'tools': it is part of how every conversation is rendered.\n")


def test_several_templates_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved("qwen2_5", tmp_path / "model")
    more = folder / "additional_chat_templates"
    more.mkdir()
    (more / "tool_use.jinja").write_text((folder / "chat_template.jinja").read_text())
    code, out, _ = rrr_doctor(capsys, "--model", str(folder))
    assert code == 0
    assert "default, and tool_use where a prompt has tools; the tokenizer has default, tool_use" in out
    code, _, err = rrr_doctor(capsys, "--model", str(folder), "--template-name", "tool-use")
    assert (code, "Did you mean 'tool_use'?" in err) == (2, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model", "./nowhere"], "There is no model folder './nowhere'."),
        (["--keep-thoughts"], "name it with --model"),
        (["--model", "{folder}", "--template-date", "soon"], "There is no date 'soon'"),
        (["--model", "{folder}", "--revision", "main"], "leave the revision out"),
        (["--model", "{folder}", "--thought-marks", "think"], "--thought-marks 'think'"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved("qwen2_5", tmp_path / "model")
    code, out, err = rrr_doctor(capsys, *(each.replace("{folder}", str(folder)) for each in options))
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert says in err


def test_weights_are_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved("qwen2_5", tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"no weights at all")
    (folder / "model.safetensors").chmod(0)
    assert rrr_doctor(capsys, "--model", str(folder))[0] == 0
