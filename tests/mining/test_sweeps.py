"""Mining for a number of failures: untried rows come before further tries of the others."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rrr_core.errors import DataError
from rrr_core.hookspecs import Message
from rrr_core.mining import MineSettings, mine
from rrr_core.mining.failure_set import read_failures
from rrr_core.mining.folder import depths
from rrr_core.runs.files import read_json, read_lines
from tests.fakes import KeptProgress, ScriptedGenerator, numbers_task

SETTINGS = MineSettings(rows=40, tries=16, shard_rows=4, seed=7, failures_wanted=12)


def rarely_wrong(conversation: Sequence[Message], chance: random.Random) -> str:
    return "right" if chance.random() < 0.8 else f"wrong {chance.randrange(20)}"


def content(folder: Path) -> dict[str, object]:
    """The content of a failure set, byte for byte, without times."""
    summary = read_json(folder / "summary.json")
    summary.pop("seconds")
    return {**{path.name: path.read_bytes() for path in folder.glob("shard-*")}, "summary": summary}


def tries_of(folder: Path) -> list[int]:
    return [record["tries"] for path in sorted(folder.glob("shard-*")) for record in read_lines(path)]


class Crash(BaseException):
    """Simulates the death of the process."""


class Mortal(ScriptedGenerator):
    """Dies at its nth call."""

    def __init__(self, last: int) -> None:
        super().__init__(rarely_wrong)
        self.last = last

    def generate(self, *arguments):
        if len(self.calls) == self.last:
            raise Crash
        return super().generate(*arguments)


@pytest.mark.parametrize(("tries", "expected"), [(1, [1]), (2, [1, 2]), (10, [1, 2, 4, 8, 10]), (8, [1, 2, 4, 8])])
def test_each_sweep_doubles_the_depth_up_to_the_number_of_tries(tries: int, expected: list[int]) -> None:
    assert depths(MineSettings(tries=tries, failures_wanted=5)) == expected
    assert depths(MineSettings(tries=tries)) == [tries]


def test_mining_stops_after_the_shard_that_reaches_the_number(tmp_path: Path) -> None:
    progress = KeptProgress()
    script = ScriptedGenerator(lambda *_: "wrong")
    summary = mine(numbers_task(40), script, tmp_path, replace(SETTINGS, failures_wanted=10), {}, progress)
    assert (summary.rows, summary.failures, summary.tries) == (12, 12, 12)
    assert len(read_failures(tmp_path)) == 12
    assert progress.lines == []


def test_all_rows_get_one_try_before_any_gets_a_second(tmp_path: Path) -> None:
    engine = ScriptedGenerator(rarely_wrong)
    mine(numbers_task(40), engine, tmp_path, SETTINGS, {})
    asked = [conversation[0]["content"] for conversations, _ in engine.calls for conversation in conversations]
    assert len(set(asked[:40])) == 40
    assert len(asked) > 40


def test_no_two_rounds_of_any_sweeps_share_a_seed(tmp_path: Path) -> None:
    engine = ScriptedGenerator(rarely_wrong)
    mine(numbers_task(40), engine, tmp_path, replace(SETTINGS, failures_wanted=40), {})
    seeds = [sampling.seed for _, sampling in engine.calls]
    assert len(set(seeds)) == len(seeds) > 40


def test_no_row_is_tried_deeper_than_the_number_needs(tmp_path: Path) -> None:
    summary = mine(numbers_task(40), ScriptedGenerator(rarely_wrong), tmp_path, SETTINGS, {})
    assert SETTINGS.failures_wanted <= summary.failures < SETTINGS.failures_wanted + SETTINGS.shard_rows
    assert set(tries_of(tmp_path)) == {1, 2}


def test_a_number_that_is_never_reached_tries_every_row_to_the_end(tmp_path: Path) -> None:
    engine = ScriptedGenerator(lambda *_: "right")
    summary = mine(numbers_task(8), engine, tmp_path, replace(SETTINGS, rows=8), {})
    assert tries_of(tmp_path) == [16] * 8
    assert (summary.tries, summary.passes, summary.sampled, summary.failures) == (128, 128, 128, 0)
    assert (summary.rows, summary.first_try_pass_rate) == (8, 1.0)


def test_the_summary_matches_the_records_whatever_the_sweeps(tmp_path: Path) -> None:
    deep = replace(SETTINGS, failures_wanted=39, failures_per_row=2)
    summary = mine(numbers_task(40), ScriptedGenerator(rarely_wrong), tmp_path, deep, {})
    records = [record for path in sorted(tmp_path.glob("shard-*")) for record in read_lines(path)]
    assert summary.rows == len(records) == 40
    for name in ("tries", "passes", "tokens", "sampled", "sampled_tokens"):
        assert getattr(summary, name) == sum(record[name] for record in records)
    assert summary.failures == sum(len(record["failures"]) for record in records)
    assert summary.first_try_passes == sum(
        not record["failures"] or record["failures"][0]["try_index"] > 0 for record in records
    )
    assert all(record["tries"] <= record["sampled"] for record in records)


def test_a_run_killed_in_any_round_of_any_sweep_ends_in_the_same_bytes(tmp_path: Path) -> None:
    settings = replace(SETTINGS, rows=20, failures_wanted=16, shard_rows=5)
    whole = ScriptedGenerator(rarely_wrong)
    mine(numbers_task(20), whole, tmp_path / "whole", settings, {})
    assert len(whole.calls) > 8, "this test needs more than one sweep"
    for last in range(len(whole.calls)):
        folder = tmp_path / str(last)
        with pytest.raises(Crash):
            mine(numbers_task(20), Mortal(last), folder, settings, {})
        assert not (folder / "summary.json").exists()
        mine(numbers_task(20), ScriptedGenerator(rarely_wrong), folder, settings, {})
        assert content(folder) == content(tmp_path / "whole")


def test_a_finished_set_is_left_unchanged(tmp_path: Path) -> None:
    first = mine(numbers_task(40), ScriptedGenerator(rarely_wrong), tmp_path, SETTINGS, {})
    before = content(tmp_path)
    engine = ScriptedGenerator(rarely_wrong)
    again = mine(numbers_task(40), engine, tmp_path, SETTINGS, {})
    assert engine.calls == []
    assert replace(again, seconds=0) == replace(first, seconds=0)
    assert content(tmp_path) == before


def test_a_changed_data_set_is_refused_between_sweeps_too(tmp_path: Path) -> None:
    with pytest.raises(Crash):
        mine(numbers_task(40), Mortal(11), tmp_path, SETTINGS, {})
    with pytest.raises(DataError, match="the data set has changed since"):
        mine(numbers_task(30), ScriptedGenerator(rarely_wrong), tmp_path, SETTINGS, {})


def test_a_row_whose_verifier_abstained_is_not_tried_again(tmp_path: Path) -> None:
    engine = ScriptedGenerator(lambda conversation, chance: "crash" if " 3." in conversation[0]["content"] else "right")
    settings = replace(SETTINGS, rows=8, max_abstain=1.0)
    mine(numbers_task(8), engine, tmp_path, settings, {})
    assert tries_of(tmp_path) == [16, 16, 16, 1, 16, 16, 16, 16]


def test_the_bar_counts_each_row_once_and_its_note_every_failure(tmp_path: Path) -> None:
    progress = KeptProgress()
    settings = replace(SETTINGS, failures_wanted=40)
    summary = mine(numbers_task(40), ScriptedGenerator(rarely_wrong), tmp_path, settings, {}, progress)
    assert summary.failures >= 38
    assert progress.done == progress.total == 40
    assert progress.notes[-1].startswith(f"{summary.failures} failures")


def test_rows_are_loaded_again_only_for_a_sweep_that_has_work_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, loaded = numbers_task(8), []
    load = task.load_dataset
    monkeypatch.setattr(task, "load_dataset", lambda *given: loaded.append(1) or load(*given))
    settings = replace(SETTINGS, rows=8)
    for expected in (len(depths(settings)), 1):
        loaded.clear()
        mine(task, ScriptedGenerator(lambda *_: "right"), tmp_path, settings, {})
        assert len(loaded) == expected
