"""Training a model that thinks: what the mask trains, and runs that are killed and resumed."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from rrr_core.training import run as training_run
from tests.thinking.conftest import SMALL, lines, rrr, start, watching
from tests.thinking.scripted import tokenizer
from tests.training.test_mask import Spy, trained_ids

MINE = ("--rows", "48", "--tries", "2", "--temperature", "1", "--max-tokens", "48", "--shard-rows", "12")


@pytest.fixture(scope="module")
def whole(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    rrr("mine", folder, *MINE)
    rrr("train", folder, *SMALL)
    return folder


@pytest.mark.parametrize("thoughts", ["dropped", "kept"])
def test_all_ids_of_a_reflection_are_trained_and_no_others(
    whole: Path, thoughts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spy.seen = []
    monkeypatch.setattr(training_run, "ReflectionTrainer", Spy)
    options = [*SMALL, "--steps", "1", "--zero-variance", "keep", *(["--keep-thoughts"] * (thoughts == "kept"))]
    with watching() as watched:
        rrr("train", tmp_path, *options, "--failures", str(whole / "mine"))
    (spy,) = Spy.seen
    trained = sorted(ids for inputs, _ in spy.losses for ids in trained_ids(inputs))
    asked = {prompt: made for prompt, made in watched.written.items() if is_request(prompt)}
    assert trained == sorted(ids for made in asked.values() for ids in made)
    end, close = (tokenizer().convert_tokens_to_ids(text) for text in ("<|end|>", "</think>"))
    ended = [ids for ids in trained if ids[-1] == end]
    assert len(ended) > 24
    assert all(close in ids[:-1] for ids in ended)


def test_kept_thoughts_let_a_credit_train_the_retry_in_its_context(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spy.seen = []
    monkeypatch.setattr(training_run, "ReflectionTrainer", Spy)
    options = [*SMALL, "--steps", "1", "--zero-variance", "keep", "--keep-thoughts", "--credit", "all"]
    with watching() as watched:
        rrr("train", tmp_path, *options, "--failures", str(whole / "mine"))
    (spy,) = Spy.seen
    trained = sorted(ids for inputs, _ in spy.losses for ids in trained_ids(inputs))
    requests = {prompt: made for prompt, made in watched.written.items() if is_request(prompt)}
    retries = {prompt: made for prompt, made in watched.written.items() if not is_request(prompt)}
    assert len(trained) == sum(map(len, requests.values()))
    together = [
        reflection + retry
        for before, reflections in requests.items()
        for reflection in reflections
        for prompt, made in retries.items()
        if prompt[: len(before + reflection)] == before + reflection
        for retry in made
    ]
    assert len(together) > 24
    assert {*trained} <= {*together, *(ids for made in requests.values() for ids in made)}
    assert sum(ids in together for ids in trained) > 24


@pytest.mark.parametrize("credit", ["retry", "all"])
def test_a_credit_for_retries_is_refused_where_their_context_is_another(
    whole: Path, credit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rrr("train", tmp_path, *SMALL, "--credit", credit, "--failures", str(whole / "mine"), code=2)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"rrr: --credit {credit} trains the retry")
    assert "--keep-thoughts" in said


def test_several_rounds_are_refused_where_a_later_one_does_not_continue_the_ids_before(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rrr("train", tmp_path, *SMALL, "--rounds", "2", "--failures", str(whole / "mine"), code=2)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("rrr: --rounds 2 goes on from what was written before")
    assert "--keep-thoughts" in said


def test_kept_thoughts_let_rounds_go_on_in_one_context(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spy.seen = []
    monkeypatch.setattr(training_run, "ReflectionTrainer", Spy)
    options = [*SMALL, "--steps", "1", "--zero-variance", "keep", "--keep-thoughts", "--rounds", "2"]
    rrr("train", tmp_path, *options, "--failures", str(whole / "mine"))
    (spy,) = Spy.seen
    episodes = [episode for batch in spy.episodes for episode in batch]
    reflections = sorted(tuple(i for one in each.rounds for i in one.reflection.ids) for each in episodes)
    assert sorted(ids for inputs, _ in spy.losses for ids in trained_ids(inputs)) == reflections
    later = [each.rounds[1].reflection for each in episodes if len(each.rounds) > 1]
    assert later
    assert all(reflection.thought for reflection in later)


def is_request(prompt: Sequence[int]) -> bool:
    return str(tokenizer().decode(list(prompt))).endswith("Wrong. Reflect.<|end|><|assistant|><think>\n")


def kill_when(process: subprocess.Popen[str], there: Path) -> None:
    """Kill a job as soon as a file is there."""
    until = time.monotonic() + 300
    while not there.exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


def test_mining_that_was_killed_ends_with_the_same_bytes(site: Path, whole: Path, tmp_path: Path) -> None:
    kill_when(start(site, "mine", tmp_path, *MINE), tmp_path / "mine" / "shard-00000.jsonl")
    assert not (tmp_path / "mine" / "summary.json").exists()
    rrr("mine", tmp_path, *MINE)
    shards = sorted(path.name for path in (whole / "mine").glob("shard-*.jsonl"))
    assert len(shards) == 4
    for name in shards:
        assert (tmp_path / "mine" / name).read_bytes() == (whole / "mine" / name).read_bytes()


def test_training_that_was_killed_ends_with_the_same_bytes(site: Path, whole: Path, tmp_path: Path) -> None:
    options = (*SMALL, "--failures", str(whole / "mine"))
    kill_when(start(site, "train", tmp_path, *options), tmp_path / "train" / "checkpoint-1" / "trainer_state.json")
    assert not (tmp_path / "train" / "summary.json").exists()
    rrr("train", tmp_path, *options)
    for name in ("episodes.jsonl", "model/model.safetensors"):
        assert (tmp_path / "train" / name).read_bytes() == (whole / "train" / name).read_bytes()
    thoughts = [each.get("thought") for one in lines(whole / "train" / "episodes.jsonl") for each in one["segments"]]
    assert len(set(thoughts)) > 10
