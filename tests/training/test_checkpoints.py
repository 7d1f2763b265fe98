"""A checkpoint is used as it was written or not at all, and nothing that the run did not make is touched."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.errors import DataError, RrrError, TooManyAbstentions
from rrr_core.generation import ModelSettings
from rrr_core.training.checkpoints import MARK, SEAL, newest_checkpoint, seal
from rrr_core.training.run import train
from tests.fakes import KeptProgress, names
from tests.training.conftest import CoinTask, coin_failures, four_steps
from tests.training.test_resume import StopAfter, weights

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def runs(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to step 4, `whole`, and the same stopped in step 4, `half`: it has checkpoints of steps 2 and 3."""
    folder = tmp_path_factory.mktemp("runs")
    make = (CoinTask(), coin_failures(), ModelSettings(model=str(tiny_model)))
    chosen = dataclasses.replace(four_steps(), save_every=1)
    train(*make, folder / "whole", chosen)
    with pytest.raises(KeyboardInterrupt):
        train(*make, folder / "half", chosen, StopAfter(4))
    assert newest_checkpoint(folder / "half") == (3, folder / "half" / "checkpoint-3")
    assert [path.name for path in sorted((folder / "half").glob("checkpoint-*"))] == ["checkpoint-2", "checkpoint-3"]
    return folder


@pytest.fixture
def half(runs: Path, tmp_path: Path) -> Path:
    """A copy of the run that was stopped."""
    return Path(shutil.copytree(runs / "half", tmp_path / "half"))


@pytest.fixture
def resume(failures: Any, model_settings: Any, settings: Any) -> Callable[[Path], list[str]]:
    """Resumes a run to its end; gives the lines that a person saw."""

    def resume(folder: Path) -> list[str]:
        progress = KeptProgress()
        train(CoinTask(), failures, model_settings, folder, dataclasses.replace(settings, save_every=1), progress)
        return progress.lines

    return resume


class Payload:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    path.write_bytes(content)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(path.parent.parent / "unpickled")))


def torch_pickled(path: Path) -> None:
    torch.save(Payload(path.parent.parent / "unpickled"), path)


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE = (emptied, cut, flipped, pickled, torch_pickled, replaced_by_a_folder, Path.unlink)
FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", SEAL)
UNSEALED = {(SEAL, Path.unlink): "without a seal it is no checkpoint", (SEAL, flipped): "may say another digest"}
CASES = [(file, damage) for file in FILES for damage in DAMAGE if (file, damage) not in UNSEALED]


@pytest.mark.parametrize(("file", "damage"), CASES, ids=lambda part: getattr(part, "__name__", part))
def test_a_damaged_checkpoint_is_passed_over_for_the_sound_one_before_it(
    half: Path, file: str, damage: Callable[[Path], None]
) -> None:
    damage(half / "checkpoint-3" / file)
    said: list[str] = []
    assert newest_checkpoint(half, say=said.append) == (2, half / "checkpoint-2")
    (line,) = said
    assert line.startswith(f"{half / 'checkpoint-3' / file}")
    assert line.endswith("Resuming from checkpoint-2 before it.")
    assert not (half / "unpickled").exists()


@pytest.mark.parametrize(("file", "damage"), CASES, ids=lambda part: getattr(part, "__name__", part))
def test_without_a_sound_checkpoint_one_line_names_the_file(
    half: Path, file: str, damage: Callable[[Path], None]
) -> None:
    shutil.rmtree(half / "checkpoint-2")
    damage(half / "checkpoint-3" / file)
    with pytest.raises(DataError, match=f"checkpoint-3/{file}.* No sound checkpoint is before it") as raised:
        newest_checkpoint(half)
    assert "\n" not in str(raised.value)
    assert not (half / "unpickled").exists()


@pytest.mark.parametrize("file", FILES[:-1])
@pytest.mark.parametrize("damage", [each for each in DAMAGE if each is not flipped], ids=lambda damage: damage.__name__)
def test_a_seal_of_an_older_version_is_checked_without_digests(
    half: Path, file: str, damage: Callable[[Path], None]
) -> None:
    for step in (2, 3):
        (half / f"checkpoint-{step}" / SEAL).write_text(json.dumps({"step": step}))
    assert newest_checkpoint(half) == (3, half / "checkpoint-3")
    damage(half / "checkpoint-3" / file)
    said: list[str] = []
    assert newest_checkpoint(half, say=said.append) == (2, half / "checkpoint-2")
    assert len(said) == 1
    assert file in said[0]
    assert not (half / "unpickled").exists()


def test_a_run_that_passes_over_a_checkpoint_ends_bit_equal(
    runs: Path, half: Path, resume: Callable[[Path], list[str]]
) -> None:
    flipped(half / "checkpoint-3" / "model.safetensors")
    (half / "checkpoint-3" / "left.pt").touch()
    (line,) = [line for line in resume(half) if "checkpoint" in line]
    assert "checkpoint-3/model.safetensors was changed after rrr wrote it" in line
    assert weights(half) == weights(runs / "whole")
    assert (half / "episodes.jsonl").read_bytes() == (runs / "whole" / "episodes.jsonl").read_bytes()
    assert not (half / "checkpoint-3" / "left.pt").exists()
    assert newest_checkpoint(half) == (4, half / "checkpoint-4")


def test_a_deleted_model_is_saved_again_from_the_last_checkpoint(
    runs: Path, tmp_path: Path, resume: Callable[[Path], list[str]]
) -> None:
    folder = shutil.copytree(runs / "whole", tmp_path / "whole")
    shutil.rmtree(folder / "model")
    resume(folder)
    assert weights(folder) == weights(runs / "whole")


@pytest.mark.parametrize("file", ["model/model.safetensors", "model/config.json", "summary.json"])
def test_a_changed_result_is_refused(
    runs: Path, tmp_path: Path, resume: Callable[[Path], list[str]], file: str
) -> None:
    folder = shutil.copytree(runs / "whole", tmp_path / "whole")
    flipped(folder / file)
    with pytest.raises(
        DataError, match=f"{file} was changed after rrr wrote it.*: delete the model.s folder, and run the same"
    ):
        resume(folder)


def test_a_summary_of_a_newer_version_is_one_line(
    runs: Path, tmp_path: Path, resume: Callable[[Path], list[str]]
) -> None:
    folder = shutil.copytree(runs / "whole", tmp_path / "whole")
    (folder / "SHA256SUMS").unlink()
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "watts": 3}))
    with pytest.raises(DataError, match=r"summary\.json:1: a summary of training has no 'watts'"):
        resume(folder)


@pytest.mark.parametrize("name", ["metrics.jsonl", "episodes.jsonl"])
def test_a_journal_that_was_changed_is_refused(half: Path, resume: Callable[[Path], list[str]], name: str) -> None:
    content = (half / name).read_text()
    (half / name).write_text(content.replace('"step": 1', '"step": 2', 1))
    with pytest.raises(DataError, match=f"{name} was changed after rrr wrote it"):
        resume(half)


@pytest.mark.parametrize("line", ['{"step": "1"}', '{"reward": 1}', "[]", "{", '{"step": NaN}', "[" * 100_000])
@pytest.mark.parametrize("name", ["metrics.jsonl", "episodes.jsonl"])
def test_a_damaged_line_of_an_older_run_is_named(
    half: Path, resume: Callable[[Path], list[str]], name: str, line: str
) -> None:
    for step in (2, 3):
        (half / f"checkpoint-{step}" / SEAL).write_text(json.dumps({"step": step}))
    (half / name).write_text(line + "\n" + (half / name).read_text())
    with pytest.raises(DataError, match=rf"{name}:1: ") as raised:
        resume(half)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("name", ["checkpoint-best", "checkpoint-3-copy", "checkpoint-old", "checkpoint-7"])
def test_folders_that_the_run_did_not_make_are_ignored_and_kept(
    runs: Path, half: Path, resume: Callable[[Path], list[str]], name: str, sealed: bool
) -> None:
    shutil.copytree(half / "checkpoint-3", half / name)
    if not sealed:
        (half / name / SEAL).unlink()
    before = names(half / name)
    assert not [line for line in resume(half) if "checkpoint" in line]
    assert names(half / name) == before
    assert weights(half) == weights(runs / "whole")


def test_a_folder_of_someone_else_in_the_place_of_a_checkpoint_is_refused_before_training(
    half: Path, resume: Callable[[Path], list[str]]
) -> None:
    (half / "checkpoint-4").mkdir()
    (half / "checkpoint-4" / "mine.txt").touch()
    with pytest.raises(RrrError, match="checkpoint-4 is not a checkpoint that this run wrote.*move or delete it"):
        resume(half)
    assert names(half / "checkpoint-4") == ["mine.txt"]


def test_a_link_to_a_checkpoint_is_not_one(half: Path, tmp_path: Path) -> None:
    (half / "checkpoint-3").rename(tmp_path / "elsewhere")
    (half / "checkpoint-3").symlink_to(tmp_path / "elsewhere")
    assert newest_checkpoint(half) == (2, half / "checkpoint-2")
    assert (tmp_path / "elsewhere" / SEAL).exists()


def test_what_a_killed_run_was_writing_is_removed(half: Path) -> None:
    checkpoint = half / "checkpoint-4"
    checkpoint.mkdir()
    (checkpoint / MARK).touch()
    (checkpoint / "optimizer.pt").touch()
    assert newest_checkpoint(half) == (3, half / "checkpoint-3")
    assert not checkpoint.exists()


def test_a_seal_names_size_and_digest_of_every_file(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint-1"
    (checkpoint / "shards").mkdir(parents=True)
    (checkpoint / "shards" / "weights").write_bytes(b"abc")
    seal(checkpoint, 1)
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert json.loads((checkpoint / SEAL).read_text()) == {
        "step": 1,
        "files": {"shards/weights": {"bytes": 3, "sha256": digest}},
        "journals": {},
        "verdicts": {"judged": 0, "withheld": []},
    }


def test_withheld_verdicts_of_earlier_calls_count(tmp_path: Path, failures: Any, model_settings: Any) -> None:
    """So the same command does not finish, by being run again, what the limit on them has stopped."""
    strict = dataclasses.replace(four_steps(), max_abstain=0.01, steps=8)
    for _ in range(2):
        with pytest.raises(TooManyAbstentions):
            train(CoinTask(abstain_every=3), failures, model_settings, tmp_path, strict)
    assert not (tmp_path / "model").exists()


def test_training_arguments_are_never_loaded(half: Path) -> None:
    pickled(half / "checkpoint-3" / "training_args.bin")
    assert newest_checkpoint(half) == (3, half / "checkpoint-3")
    assert not os.path.lexists(half / "unpickled")
