"""The damage benchmark finds what it looks for, and a part of it holds in every run of the tests."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytestmark = [pytest.mark.train, pytest.mark.timeout(900)]

with pytest.MonkeyPatch.context() as path:
    path.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    damage, kinds = map(importlib.import_module, ("damage", "damage_kinds"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        damage.make_runs(folder)
    return folder


def test_there_are_thirty_kinds_of_damage_at_least() -> None:
    assert len(kinds.KINDS) >= 30


def test_each_kind_changes_a_file(tmp_path: Path) -> None:
    for number, (kind, make) in enumerate(kinds.KINDS.items()):
        folder = tmp_path / str(number) / "stage"
        folder.mkdir(parents=True)
        path = folder / "file.jsonl"
        path.write_text('{"row_index": 1, "tries": 2}\n{"row_index": 2, "tries": 1}\n')
        before = path.read_bytes()
        make(path, tmp_path / "other")
        if kind not in ("a second name", "a pipe", "a link to /dev/zero"):
            assert not path.is_file() or path.read_bytes() != before, kind


def test_a_part_of_all_damages_is_neither_silent_nor_a_traceback(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    found = damage.damage_all(place, damage.STAGES, every=83)
    assert len({each["stage"] for each in found}) == len(damage.STAGES)
    assert [each for each in found if each["outcome"] not in damage.GOOD] == []


@pytest.mark.parametrize(
    ("code", "said", "word"),
    [
        (-2, "", "hang"),
        (-1, "ValueError: x", "traceback"),
        (2, "rrr: one: line.", "refused"),
        (2, "nothing", "traceback"),
        (0, "rrr: run: mine/shard-00000.jsonl was changed", "named"),
        (0, "", "silent"),
    ],
)
def test_an_outcome_is_named_by_exit_status_and_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, said: str, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    sound: dict[str, Any] = {"mine/shard-00000.jsonl": [1]}
    assert damage.outcome(code, said, tmp_path, sound, "mine/shard-00000.jsonl") == word
