"""The generation benchmark: its sides write the same texts, whatever their speed."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("torch", reason="the compared engines run on torch")
pytest.importorskip("rrr_countdown", reason="the embedded model is one of the two measured")
pytestmark = pytest.mark.train


def test_stock_generate_writes_our_texts_with_our_random_numbers():
    from generation import countdown, different

    assert different(countdown(rows=40, tries=1)) == {"greedy": 0.0, "sampled": 0.0}


def test_every_side_is_measured_on_as_many_rows_and_uneven_texts():
    from generation import Goals, measure, qwen

    case = qwen(rows=6, tries=2)
    figures, about = measure(case, repeats=1, goals=Goals(per_row=1, best_batch=1))
    units = {figure.label.removeprefix("Qwen2-shaped: "): figure.unit for figure in figures}
    assert units == {
        "ours": "samples/CPU-s",
        "ours, elapsed": "samples/s",
        "generate at its best batch, 6": "samples/CPU-s",
        "generate, batches of 6": "samples/CPU-s",
        "over generate per row": "×",
        "over generate at its best batch, 6": "×",
        "over generate at its best batch, 6, elapsed": "×",
    }
    assert {figure.label[14:] for figure in figures if figure.goal is not None} == {
        "over generate per row",
        "over generate at its best batch, 6",
    }
    assert about["samples"] == 12
    assert max(about["share of texts that differ"].values()) == 0
    assert all(2 < tokens < 160 for tokens in about["tokens a text"].values())


VLLM = """
from types import SimpleNamespace as Made
__version__ = "0.0"
print("vLLM prints to standard output")
class SamplingParams(dict):
    def __init__(self, **given): super().__init__(given)
class LLM:
    def __init__(self, **given): self.given = given
    def reset_prefix_cache(self): pass
    def generate(self, prompts, sampling, use_tqdm):
        count, end = sampling["max_tokens"], sampling["stop_token_ids"][0]
        return [Made(outputs=[Made(token_ids=[*one["prompt_token_ids"][-1:] * (count - 1), end])]) for one in prompts]
"""


@pytest.fixture
def interpreter(tmp_path):
    """An interpreter that has a vLLM: one that repeats a prompt's last token."""
    (tmp_path / "vllm.py").write_text(VLLM)
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return str(script)


def test_vllm_writes_in_a_process_of_its_own_and_is_measured_there(interpreter):
    from generation import Goals, countdown, measure
    from vllm_side import VllmSide, missing

    assert missing(interpreter) is None
    with VllmSide(interpreter, "model", "float32", most_rows=2) as side:
        written = side.write([[5, 6], [7]], 1.0, 3, [1], seed=0)
        assert written.texts == [[6, 6, 1], [7, 7, 1]]
        assert written.seconds > 0
        figures, about = measure(countdown(rows=4, tries=2), repeats=1, goals=Goals(vllm=0), few=2, vllm=side)
    assert [figure.label for figure in figures if figure.goal is not None] == ["Countdown: over vLLM 0.0"]
    assert about["tokens a text"]["vLLM 0.0"] == 64


def test_without_vllm_one_line_says_so(tmp_path):
    from vllm_side import VllmSide, missing

    assert "--vllm-python" in missing(None)
    assert "cannot be run" in missing(str(tmp_path / "none"))
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    script.chmod(0o755)
    assert "no package vllm" in missing(str(script))
    with pytest.raises(RuntimeError, match="ended with status"):
        VllmSide(str(script), "model", "float32", most_rows=1)
