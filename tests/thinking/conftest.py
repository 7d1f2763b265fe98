"""The task `adding` installed, its thinking model, and a watch on what the engine was given and the verifier shown."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.cli import run_command
from rrr_core.generation.transformers_engine import TransformersEngine
from rrr_core.verification import Judge
from tests.thinking.make_model import MODEL, install

SMALL = (
    *("--steps", "3", "--group-size", "4", "--batch-size", "32", "--micro-batch-size", "16", "--learning-rate", "1e-4"),
    *("--max-reflection-tokens", "48", "--max-retry-tokens", "48", "--temperature", "1", "--save-every", "1"),
    *("--episodes-per-step", "32"),
)
"""A training run of seconds."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of installed packages with the task's distribution."""
    folder = tmp_path_factory.mktemp("site")
    install(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        yield folder
    sys.modules.pop("rrr_adding", None)


@dataclass
class Watched:
    """What commands gave the engine and showed the verifier."""

    written: dict[tuple[int, ...], list[tuple[int, ...]]] = field(default_factory=dict)
    """Prompt → the ids sampled on it."""
    judged: list[str] = field(default_factory=list)
    """The answers shown."""


@contextmanager
def watching() -> Iterator[Watched]:
    watched = Watched()
    generate, judge = TransformersEngine.generate_ids, Judge.judge

    def generate_ids(engine: Any, prompts: Any, *arguments: Any, **keywords: Any) -> Any:
        made = generate(engine, prompts, *arguments, **keywords)
        for prompt, ids in zip(prompts, made, strict=True):
            watched.written.setdefault(tuple(prompt), []).append(tuple(ids))
        return made

    def judge_pairs(judging: Any, pairs: Any) -> Any:
        watched.judged += [answer for _, answer in pairs]
        return judge(judging, pairs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransformersEngine, "generate_ids", generate_ids)
        patch.setattr(Judge, "judge", judge_pairs)
        yield watched


def rrr(command: str, folder: Path, *options: str, model: Path = MODEL, code: int = 0) -> None:
    """Run a command on the task; it must end with that exit code."""
    arguments = [command, "adding", "--model", str(model), "--folder", str(folder), *options]
    assert run_command(arguments) == code


def start(site: Path, command: str, folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start a command on the task in a process of its own."""
    code = "import sys; sys.argv[0] = 'rrr'; from rrr_core.cli import main; main()"
    arguments = [command, "adding", "--model", str(MODEL), "--folder", str(folder), *options]
    paths = [str(site), str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(*files: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def mined_attempts(folder: Path) -> list[dict[str, Any]]:
    """The segments of the failing attempts."""
    rows = lines(*sorted((folder / "mine").glob("shard-*.jsonl")))
    return [failure["segments"][1] for row in rows for failure in row["failures"]]


def evaluated(folder: Path, label: str = "model") -> list[dict[str, Any]]:
    """The episodes of the greedy mode."""
    return lines(*sorted((folder / "eval" / label).glob("greedy-*.jsonl")))


def messages_of(segments: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Segments as the chat messages that transformers' own `apply_chat_template` takes."""
    messages: list[dict[str, Any]] = []
    for segment in segments:
        if segment["role"] == "prompt":
            messages += segment["messages"]
        else:
            reply = {"role": "assistant", "content": segment["text"]}
            thought = segment.get("thought")
            messages.append({**reply, "reasoning_content": thought} if thought else reply)
    return messages
