"""The table of architectures holds: representative ones are measured again."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
WAYS = ("trl", "padded", "packed", "decoded")
REPRESENTATIVE = (
    "deepseek_v3", "falcon_h1", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "llama", "mamba", "mistral", "mixtral",
    "modernbert-decoder", "moshi", "opt", "phimoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_next", "recurrent_gemma",
)  # fmt: skip


def rows() -> dict[str, list[str]]:
    """The cells of the page's table, by model type."""
    split = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.read_text().splitlines()]
    return {cells[0]: cells[1:] for cells in split if len(cells) == 6 and "---" not in cells[0]}


@pytest.mark.parametrize("model_type", REPRESENTATIVE)
def test_an_architecture_does_what_the_table_says(model_type: str) -> None:
    import architectures

    *cells, trained = rows()[model_type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a foreign architecture warns of is none of ours
        found = architectures.measure(model_type)
    for way, cell in zip(WAYS, cells, strict=True):
        kind = "–" if "failed" in found[way] else "0" if architectures.is_right(found[way]) else "**"
        assert cell.startswith(kind), way
    assert architectures.used(found) == trained


def test_the_table_has_dozens_of_architectures_that_are_trained() -> None:
    assert sum(cells[-1] in ("shared prompt", "padded") for cells in rows().values()) > 100


def test_sliding_windows_are_shorter_than_the_prompts_that_were_tried() -> None:
    import architectures
    import small_models

    assert small_models.small_config("phimoe").sliding_window == small_models.WINDOW < min(architectures.PROMPTS)


def test_an_architecture_that_cannot_be_configured_small_is_a_line() -> None:
    import architectures

    assert architectures.measured_apart("fuyu", 100)["reason"].endswith("with every known size made small")
    assert architectures.measured_apart("llama", 0)["reason"] == "takes over 0 seconds"


def test_a_process_that_dies_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    import architectures

    monkeypatch.setattr(architectures, "measure", lambda model_type: os._exit(3))
    assert architectures.measured_apart("llama", 100)["reason"] == "its process dies (exit status 3)"


def test_results_of_other_versions_are_measured_again(tmp_path: Path) -> None:
    import architectures

    file = tmp_path / "architectures.jsonl"
    file.write_text('{"type": "llama", "versions": "transformers 4"}\n')
    assert architectures.known(file) == {}
