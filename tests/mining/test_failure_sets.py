"""Failure sets are read back whole, or refused with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rrr_core.errors import DataError, RrrError
from rrr_core.mining import MineSettings, mine
from rrr_core.mining.failure_set import no_failures, read_failures
from rrr_core.runs.files import read_lines, write_lines
from tests.fakes import ScriptedGenerator, numbers_task


def failure(**changes: Any) -> dict[str, Any]:
    record = {
        "failure_id": "0-0",
        "row_index": 0,
        "row": {"number": 0},
        "prompt": [{"role": "user", "content": "Say number 0."}],
        "attempt": "wrong",
        "verdict": {"outcome": "failed", "category": "wrong number", "detail": ""},
        "try_index": 0,
    }
    return {key: value for key, value in {**record, **changes}.items() if value is not ...}


@pytest.fixture
def mined(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    mine(numbers_task(10), ScriptedGenerator(), folder, MineSettings(rows=10, shard_rows=4, seed=1), {})
    return folder


def test_a_folder_gives_its_failures_in_row_order(mined: Path) -> None:
    failures = read_failures(mined)
    assert [each.row_index for each in failures] == sorted({each.row_index for each in failures})
    assert len(failures) == 10


def test_one_shard_can_be_read_directly(mined: Path) -> None:
    assert read_failures(mined / "shard-00001.jsonl") == [
        each for each in read_failures(mined) if each.row_index in range(4, 8)
    ]


def test_a_file_with_one_failure_per_line_can_be_read(mined: Path, tmp_path: Path) -> None:
    file = tmp_path / "failures.jsonl"
    write_lines(file, (each.to_json() for each in read_failures(mined)))
    assert read_failures(file) == read_failures(mined)


def test_a_folder_with_unfinished_mining_is_refused(mined: Path) -> None:
    (mined / "summary.json").unlink()
    with pytest.raises(RrrError, match=r"not finished \(3 shards so far\)"):
        read_failures(mined)


def test_a_folder_without_a_failure_set_names_the_one_inside(mined: Path) -> None:
    with pytest.raises(DataError, match="Did you mean .*mine"):
        read_failures(mined.parent)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_failures(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        (failure(attempt=...), "'attempt' must be a text, found nothing"),
        (failure(attempt=None), "'attempt' must be a text, found None"),
        (failure(row="x"), "'row' must be a JSON object"),
        (failure(prompt="Say"), "'prompt' must be a list of messages"),
        (failure(prompt=[{"role": "user"}]), "'prompt' must be a list of messages"),
        (failure(try_index=True), "'try_index' must be a whole number"),
        (failure(verdict={"outcome": "passed"}), "'verdict' must be a failed verdict"),
        (failure(verdict={"outcome": "failed", "score": "1"}), "'verdict' must be a failed verdict"),
        (failure(note="x"), "no 'note'; its keys are failure_id"),
        (failure(failure_id="1-0"), "failure_id '1-0' is taken by .*:1"),
        (
            {"failures": [], "row_index": 0, "tries": 1, "passes": 1, "abstentions": 0},
            "'withheld' must be a list, found nothing",
        ),
        ({"failures": 3, "withheld": [], "row_index": 0, "tries": 1, "passes": 1}, "'failures' must be a list"),
        (
            {"failures": [], "row_index": 0, "tries": 1, "passes": 1, "abstentions": 0, "sampled": "1"},
            "'sampled' must be a whole number or null, found '1'",
        ),
        ({"failures": [], "row_index": 0, "tries": "1"}, "'tries' must be a whole number, found '1'"),
    ],
)
def test_a_malformed_line_is_named_with_file_and_line(tmp_path: Path, line: Any, words: str) -> None:
    file = tmp_path / "failures.jsonl"
    text = line if isinstance(line, str) else json.dumps(line)
    file.write_text(json.dumps(failure(failure_id="1-0")) + "\n" + text + "\n")
    with pytest.raises(DataError, match=words) as error:
        read_failures(file)
    assert str(error.value).startswith(f"{file}:2: ")
    assert "\n" not in str(error.value)


def test_invalid_unicode_of_an_attempt_never_appears_in_an_error(tmp_path: Path) -> None:
    file = tmp_path / "failures.jsonl"
    write_lines(file, [failure(row="\ud800\n\x1b[2J" * 100)])
    with pytest.raises(DataError) as error:
        read_failures(file)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300


def test_the_error_for_an_empty_failure_set_says_what_to_do(tmp_path: Path) -> None:
    mine(numbers_task(3), ScriptedGenerator(lambda *_: "right"), tmp_path, MineSettings(rows=3, tries=2), {})
    assert read_failures(tmp_path) == []
    assert len(list(read_lines(tmp_path / "shard-00000.jsonl"))) == 3
    error = no_failures(tmp_path)
    assert isinstance(error, RrrError)
    assert "mine more rows or more tries" in str(error)
