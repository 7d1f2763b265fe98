"""A model that thinks writes the same greedy texts in every backend, thoughts and answers alike, in a real vLLM too.

Run with `tox -e vllm`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("vllm", reason="vLLM is not installed")
pytestmark = [pytest.mark.train, pytest.mark.vllm]

from tests.generation.vllm_serving import vllm_serving
from tests.thinking.conftest import SMALL, evaluated, lines, mined_attempts, rrr, start
from tests.thinking.make_model import MODEL

Texts = list[list[tuple[str, str, str]]]
MINE = ("--rows", "48", "--tries", "1", "--temperature", "0", "--max-tokens")
EVAL = ("--rows", "48", "--modes", "greedy", "--max-tokens", "48", "--controls", "no_reflection")


@pytest.fixture(scope="module")
def left_alone() -> Iterator[str]:
    """A server that leaves thoughts in the text."""
    with vllm_serving(MODEL) as address:
        yield address


@pytest.fixture(scope="module")
def parsing() -> Iterator[str]:
    """A server that puts thoughts into a field of their own."""
    with vllm_serving(MODEL, "--reasoning-parser", "deepseek_r1") as address:
        yield address


def texts(folder: Path, *options: str) -> Texts:
    """(Thought, answer, category) of what is written greedily: in an evaluation, and in mining with a short limit."""
    rrr("mine", folder, *MINE, "10", *options)
    rrr("eval", folder, *EVAL, "--label", "model", *options)
    conversations = [*([each] for each in mined_attempts(folder)), *(each["segments"] for each in evaluated(folder))]
    return [
        [
            (each.get("thought", ""), each["text"], each.get("verdict", {}).get("category", ""))
            for each in segments
            if each["role"] != "prompt"
        ]
        for segments in conversations
    ]


@pytest.fixture(scope="module")
def expected(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Texts:
    made = texts(tmp_path_factory.mktemp("transformers"), "--dtype", "float32", "--backend", "transformers")
    written = [each for conversation in made for each in conversation]
    assert len(written) > 100
    assert sum(bool(thought) for thought, _, _ in written) > 0.9 * len(written)
    assert {category for _, _, category in written} >= {"cut off", "wrong sum", ""}
    return made


def test_in_this_process(expected: Texts, tmp_path: Path) -> None:
    assert texts(tmp_path, "--dtype", "float32", "--backend", "vllm") == expected


def test_training_whose_texts_it_writes_in_this_process(site: Path, tmp_path: Path) -> None:
    engine = ("--dtype", "float32", "--backend", "vllm")
    rrr("mine", tmp_path, "--rows", "48", "--tries", "1", "--temperature", "1", "--max-tokens", "48", *engine)
    _, said = (process := start(site, "train", tmp_path, *SMALL, *engine)).communicate(timeout=500)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    episodes = lines(tmp_path / "train" / "episodes.jsonl")
    reflections = [episode["segments"][3] for episode in episodes]
    assert sum(bool(each.get("thought")) for each in reflections) > 0.8 * len(reflections)
    assert {episode["reward"] for episode in episodes} == {0.0, 1.0}


def test_at_a_server_as_token_ids(expected: Texts, left_alone: str, tmp_path: Path) -> None:
    assert texts(tmp_path, "--backend", "vllm", "--base-url", left_alone) == expected


def test_at_a_server_that_leaves_thoughts_in_the_text(expected: Texts, left_alone: str, tmp_path: Path) -> None:
    marks = ("--thought-marks", "<think> </think> opened")
    assert texts(tmp_path, "--backend", "server", "--base-url", left_alone, *marks) == expected


def test_at_a_server_that_parses_thoughts(expected: Texts, parsing: str, tmp_path: Path) -> None:
    assert texts(tmp_path, "--backend", "server", "--base-url", parsing) == expected


def test_without_thinking_at_a_server(site: Path, left_alone: str, tmp_path: Path) -> None:
    switch = ("--template", "enable_thinking=false")
    here = texts(tmp_path / "here", *switch)
    served = ("--backend", "server", "--base-url", left_alone)
    assert texts(tmp_path / "served", *switch, *served) == here
    assert not any(thought for conversation in here for thought, _, _ in conversation)
