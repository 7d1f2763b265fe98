"""A failure set is used as it was mined, or refused in one line that says how to mine it again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rrr_core.errors import DataError, RrrError
from rrr_core.mining import MineSettings, mine
from rrr_core.mining.failure_set import read_failures
from tests.fakes import ScriptedGenerator, numbers_task

SETTINGS = MineSettings(rows=12, tries=3, shard_rows=4, seed=1)


def mined(folder: Path, settings: MineSettings = SETTINGS) -> Path:
    mine(numbers_task(12), ScriptedGenerator(), folder, settings, {})
    return folder


def shard(folder: Path, number: int = 1) -> Path:
    return folder / f"shard-{number:05d}.jsonl"


def shards(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("shard-*.jsonl"))]


def without_a_line(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def with_another_byte(path: Path) -> None:
    path.write_text(path.read_text().replace("wrong 1", "wrong 2", 1))


def with_a_line_twice(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[-1]]))


DAMAGE = (without_a_line, with_another_byte, with_a_line_twice, Path.unlink)


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_damaged_shard_is_refused_and_mined_again_as_the_line_says(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = mined(tmp_path / "mine")
    before = shards(folder)
    damage(shard(folder))
    assert shards(folder) != before
    with pytest.raises(DataError, match=r"shard-00001\.jsonl.*delete .*run the command that mined it again") as raised:
        read_failures(folder)
    assert "\n" not in str(raised.value)
    shard(folder).unlink(missing_ok=True)
    (folder / "summary.json").unlink()
    assert shards(mined(folder)) == before


@pytest.mark.parametrize("damage", [without_a_line, Path.unlink], ids=lambda damage: damage.__name__)
def test_a_set_of_an_older_version_is_held_against_the_sums_in_its_summary(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = mined(tmp_path / "mine")
    (folder / "SHA256SUMS").unlink()
    assert read_failures(folder)
    damage(shard(folder, 2))
    with pytest.raises(DataError, match=r"summary\.json says rows 12, and the shards beside it have (11|8): rows were"):
        read_failures(folder)


def test_resumed_mining_refuses_a_changed_shard(tmp_path: Path) -> None:
    folder = mined(tmp_path / "mine")
    (folder / "summary.json").unlink()
    with_another_byte(shard(folder))
    with pytest.raises(DataError, match=r"shard-00001\.jsonl was changed after rrr wrote it"):
        mined(folder)


def test_a_lost_shard_that_others_depend_on_is_not_mined_alone(tmp_path: Path) -> None:
    settings = MineSettings(rows=12, tries=4, shard_rows=4, seed=1, failures_wanted=7)
    folder = mined(tmp_path / "mine", settings)
    before = shards(folder)
    shard(folder, 0).unlink()
    for read in (read_failures, lambda folder: mined(folder, settings)):
        with pytest.raises(DataError, match=r"shard-00000\.jsonl is missing: delete .*mine and run the command"):
            read(folder)
    shutil.rmtree(folder)
    assert shards(mined(folder, settings)) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"watts": 3}, "a summary of mining has no 'watts'"),
        ({"rows": "12"}, "'rows' must be a number or null, found '12'"),
        ({"failures": 1}, "summary.json says failures 1, and the shards beside it have"),
    ],
)
def test_a_summary_that_says_something_else_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    folder = mined(tmp_path / "mine")
    (folder / "SHA256SUMS").unlink()
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, **change}))
    for read in (read_failures, mined):
        with pytest.raises(DataError, match=words):
            read(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"watts": 3}, "a mined row has no 'watts'"),
        ({"tries": 0}, "'tries' must be at least its passes, abstentions and failures together"),
        ({"row_index": 7}, "'failures' must be failures of row 7"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    folder = mined(tmp_path / "mine")
    record = next(each for each in map(json.loads, shard(folder, 0).read_text().splitlines()) if each["failures"])
    file = tmp_path / "file.jsonl"
    file.write_text(json.dumps({**record, **change}))
    with pytest.raises(DataError, match=words):
        read_failures(file)


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_lock_that_is_a_link_is_never_followed(tmp_path: Path, kind: str) -> None:
    folder, target = tmp_path / "mine", tmp_path / "diary.txt"
    folder.mkdir()
    target.write_text("of the user")
    lock = folder / ".lock"
    if kind == "symbolic":
        lock.symlink_to(target)
    else:
        lock.hardlink_to(target)
    with pytest.raises(RrrError, match=r"\.lock cannot be written: it is a link.*remove it"):
        mined(folder)
    assert target.read_text() == "of the user"


def test_a_profile_that_cannot_be_read_is_moved_aside_and_said_so(tmp_path: Path) -> None:
    from tests.fakes import KeptProgress

    folder, progress = mined(tmp_path / "mine"), KeptProgress()
    for garbage in ("[" * 100_000, '{"calls": NaN}', "{}", '{"calls": 1e999}', ""):
        (folder / "profile.json").write_text(garbage)
        progress.lines.clear()
        mine(numbers_task(12), ScriptedGenerator(), folder, SETTINGS, {}, progress)
        (line,) = progress.lines
        assert "profile.json:1: not" in line
        assert "It was moved to profile.damaged.json" in line
        assert (folder / "profile.damaged.json").read_text() == garbage
