"""Mining that was killed at any point and resumed gives the same failure set as an uninterrupted run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from rrr_core.errors import DataError, RrrError
from rrr_core.mining import MineSettings, mine
from rrr_core.runs import files
from rrr_core.runs.files import read_json
from tests.fakes import KeptProgress, ScriptedGenerator, names, numbers_task

ROOT = Path(__file__).parents[2]
SETTINGS = MineSettings(rows=60, tries=6, shard_rows=4, seed=11)

MINER = """
    import sys
    from pathlib import Path
    from rrr_core.mining import MineSettings, mine
    from tests.fakes import ScriptedGenerator, numbers_task
    settings = MineSettings(rows=60, tries=6, shard_rows=4, seed=11)
    print("ready", flush=True)
    mine(numbers_task(60), ScriptedGenerator(delay=0.02), Path(sys.argv[1]), settings, {})
"""


class Crash(BaseException):
    """Simulates the death of the process."""


def content(folder: Path) -> dict[str, object]:
    """The content of a failure set, byte for byte, without times."""
    kept: dict[str, object] = {path.name: path.read_bytes() for path in folder.glob("shard-*")}
    summary = read_json(folder / "summary.json")
    summary.pop("seconds")
    return {**kept, "summary": summary, "identity": read_json(folder / "manifest.json")["identity"]}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    mine(numbers_task(60), ScriptedGenerator(), folder, SETTINGS, {})
    return content(folder)


def test_runs_killed_at_random_moments_end_in_the_same_bytes(tmp_path: Path, uninterrupted: dict[str, object]) -> None:
    command = [sys.executable, "-c", textwrap.dedent(MINER), str(tmp_path)]
    chance = random.Random(5)
    seen = []
    for kill in range(8):
        before = len(list(tmp_path.glob("shard-*")))
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as miner:
            assert miner.stdout is not None
            assert miner.stdout.readline() == "ready\n"
            # Wait for a new shard, so that every other kill finds some finished even on a busy machine.
            while kill % 2 and miner.poll() is None and len(list(tmp_path.glob("shard-*"))) <= before < 15:
                time.sleep(0.005)
            time.sleep(chance.uniform(0.0, 0.1))
            miner.send_signal(signal.SIGKILL)
        seen.append({path.name: path.stat().st_ino for path in tmp_path.glob("shard-*")})
    assert any(0 < len(shards) < 15 for shards in seen), "no kill fell into the middle of the run"
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert content(tmp_path) == uninterrupted
    final = {path.name: path.stat().st_ino for path in tmp_path.glob("shard-*")}
    for shards in seen:
        assert shards.items() <= final.items(), "a finished shard was written again"


def test_a_crash_at_any_write_ends_in_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write syncs a file, renames it and syncs its folder; crash before each of these in turn."""
    few = MineSettings(rows=20, tries=6, shard_rows=8, seed=11)
    mine(numbers_task(20), ScriptedGenerator(), tmp_path / "uninterrupted", few, {})
    uninterrupted = content(tmp_path / "uninterrupted")
    real_sync, real_replace = files.os.fsync, Path.replace
    moment = 0
    for moment in range(200):
        folder, left = tmp_path / str(moment), [moment]

        def tick(left: list[int] = left) -> None:
            if left[0] == 0:
                raise Crash
            left[0] -= 1

        def fsync(descriptor: int, tick=tick) -> None:
            tick()
            real_sync(descriptor)

        def replace(path: Path, target: Path, tick=tick) -> Path:
            tick()
            return real_replace(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(files.os, "fsync", fsync)
            patched.setattr(files.Path, "replace", replace)
            try:
                mine(numbers_task(20), ScriptedGenerator(), folder, few, {})
            except Crash:
                crashed = True
            else:
                crashed = False
        if not crashed:
            break
        mine(numbers_task(20), ScriptedGenerator(), folder, few, {})
        assert content(folder) == uninterrupted
    # Manifest, 3 shards each with the profile so far, the final list of digests, summary and the last profile: three
    # crash points each. The digests of shards and summary are appended: one more each.
    assert moment == 3 * (1 + 3 * 2 + 1 + 1 + 1) + 4


def test_only_missing_shards_are_mined_again(tmp_path: Path, uninterrupted: dict[str, object]) -> None:
    mine(numbers_task(60), ScriptedGenerator(), tmp_path, SETTINGS, {})
    (tmp_path / "shard-00003.jsonl").unlink()
    engine, progress = ScriptedGenerator(), KeptProgress()
    mine(numbers_task(60), engine, tmp_path, SETTINGS, {}, progress)
    asked = {conversation[0]["content"] for conversations, _ in engine.calls for conversation in conversations}
    assert asked == {f"Say number {number}." for number in range(12, 16)}
    assert content(tmp_path) == uninterrupted
    assert progress.done == 60


def test_a_finished_failure_set_is_left_unchanged(tmp_path: Path) -> None:
    first = mine(numbers_task(60), ScriptedGenerator(), tmp_path, SETTINGS, {})
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path) if name != ".lock"}
    engine = ScriptedGenerator()
    again = mine(numbers_task(60), engine, tmp_path, SETTINGS, {})
    assert engine.calls == []
    assert (again.failures, again.tries, again.pass_rate) == (first.failures, first.tries, first.pass_rate)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_ctrl_c_keeps_finished_shards_and_unlocks_the_folder(tmp_path: Path, uninterrupted: dict[str, object]) -> None:
    class Impatient(ScriptedGenerator):
        def generate(self, *arguments):
            if len(self.calls) == 20:
                raise KeyboardInterrupt
            return super().generate(*arguments)

    with pytest.raises(KeyboardInterrupt):
        mine(numbers_task(60), Impatient(), tmp_path, SETTINGS, {})
    assert "shard-00000.jsonl" in names(tmp_path)
    mine(numbers_task(60), ScriptedGenerator(), tmp_path, SETTINGS, {})
    assert content(tmp_path) == uninterrupted


def test_a_full_disk_is_reported_in_one_line_and_mining_resumes_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uninterrupted: dict[str, object]
) -> None:
    real = files.os.fsync
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 9:
            raise OSError(28, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", full)
        with pytest.raises(RrrError, match=r"jsonl? cannot be written: the disk is full") as error:
            mine(numbers_task(60), ScriptedGenerator(), tmp_path, SETTINGS, {})
    assert "\n" not in str(error.value)
    assert not [name for name in names(tmp_path) if name.endswith(".tmp")]
    mine(numbers_task(60), ScriptedGenerator(), tmp_path, SETTINGS, {})
    assert content(tmp_path) == uninterrupted


@pytest.mark.parametrize("size", [59, 58, 56, 30])
def test_a_data_set_that_shrank_between_two_calls_is_refused(tmp_path: Path, size: int) -> None:
    mine(numbers_task(60), ScriptedGenerator(), tmp_path, SETTINGS, {})
    with pytest.raises(DataError, match="the data set has changed since"):
        mine(numbers_task(size), ScriptedGenerator(), tmp_path, SETTINGS, {})


def test_a_data_set_whose_rows_changed_between_two_calls_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine(numbers_task(60), ScriptedGenerator(), tmp_path, SETTINGS, {})
    task = numbers_task(60)
    load = task.load_dataset
    monkeypatch.setattr(task, "load_dataset", lambda split, options: load(split, {"first": "1"}))
    with pytest.raises(DataError, match=r"shard-00000\.jsonl was mined from other rows"):
        mine(task, ScriptedGenerator(), tmp_path, SETTINGS, {})


def test_a_corrupt_shard_is_named_with_its_line(tmp_path: Path) -> None:
    mine(numbers_task(60), ScriptedGenerator(), tmp_path, SETTINGS, {})
    shard = tmp_path / "shard-00002.jsonl"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"shard-00002\.jsonl:4: not JSON"):
        mine(numbers_task(60), ScriptedGenerator(), tmp_path, SETTINGS, {})
