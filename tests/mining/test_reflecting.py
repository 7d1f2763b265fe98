"""Mining in several rounds: failing attempts are reflected on and retried, and failed retries are failures, too."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rrr_core.episode import Failure, Generation
from rrr_core.errors import DataError, RrrError, TooManyAbstentions, TooManyWithoutAnswer
from rrr_core.generation.engine import Sampling
from rrr_core.hookspecs import Message
from rrr_core.judging.kept_answers import find_stages, kept_answers, read_stage, withheld_without_answer
from rrr_core.mining import MineSettings, MiningSummary, mine
from rrr_core.mining.failure_set import read_failures
from rrr_core.mining.mined_row import MinedRow
from rrr_core.report.data import read_runs
from rrr_core.runs.files import read_json, read_lines
from rrr_core.seeds import mining_seed
from tests.episodes import make_failure
from tests.fakes import KeptProgress, ScriptedGenerator, numbers_task

SETTINGS = MineSettings(rows=12, tries=3, shard_rows=5, seed=11, rounds=3)


def is_reflecting(conversation: Sequence[Message]) -> bool:
    return not conversation[-1]["content"].startswith("Say number")


def number_of(conversation: Sequence[Message]) -> int:
    return int(conversation[0]["content"].split()[-1].rstrip("."))


def rounds_of(conversation: Sequence[Message]) -> int:
    """How many answers were given before."""
    return sum(message["content"].startswith("Say number") for message in conversation) - 1


def passing_in(round_of: Callable[[int], int]) -> Callable[[Sequence[Message], random.Random], str]:
    """A script that is right from that round on, 0 being the attempt; reflections name row and round."""

    def script(conversation: Sequence[Message], chance: random.Random) -> str:
        number, answered = number_of(conversation), rounds_of(conversation)
        if is_reflecting(conversation):
            return f"note {answered + 1} on {number}"
        return "right" if answered >= round_of(number) else f"wrong {answered}"

    return script


def mined(folder: Path, script: Any, settings: MineSettings = SETTINGS, size: int = 12) -> MiningSummary:
    return mine(numbers_task(size), ScriptedGenerator(script), folder, settings, {})


def chance_of_each(conversation: Sequence[Message], chance: random.Random) -> str:
    if is_reflecting(conversation):
        return f"note {chance.randrange(9)}"
    return "right" if chance.random() < 0.4 else f"wrong {chance.randrange(9)}"


def content(folder: Path) -> dict[str, object]:
    summary = read_json(folder / "summary.json")
    summary.pop("seconds")
    return {**{path.name: path.read_bytes() for path in folder.glob("shard-*")}, "summary": summary}


def test_every_failed_retry_is_one_more_failure_that_holds_its_whole_conversation(tmp_path: Path) -> None:
    mined(tmp_path, passing_in(lambda number: number), dataclasses.replace(SETTINGS, rows=4))
    failures = read_failures(tmp_path)
    assert [each.failure_id for each in failures] == ["1-0", "2-0", "2-0-1", "3-0", "3-0-1", "3-0-2"]
    deepest = failures[-1]
    assert (deepest.row_index, deepest.try_index, deepest.attempt) == (3, 0, "wrong 2")
    assert [each.role for each in deepest.episode.segments[1::2]] == [
        *("attempt", "reflection", "retry", "reflection", "retry")
    ]
    assert [each.text for each in deepest.episode.segments[1::2]] == [
        *("wrong 0", "note 1 on 3", "wrong 1", "note 2 on 3", "wrong 2")
    ]
    assert all(each.verdict.is_failed for each in failures)


def test_a_round_stops_at_a_pass_and_n_rounds_play_one_less(tmp_path: Path) -> None:
    for rounds, ids in ((1, ["3-0"]), (2, ["3-0", "3-0-1"]), (9, ["3-0", "3-0-1", "3-0-2"])):
        folder = tmp_path / str(rounds)
        mined(folder, passing_in(lambda number: number), dataclasses.replace(SETTINGS, rows=4, rounds=rounds))
        assert [each.failure_id for each in read_failures(folder) if each.row_index == 3] == ids


def test_one_round_writes_what_it_always_wrote(tmp_path: Path) -> None:
    mined(tmp_path, chance_of_each, dataclasses.replace(SETTINGS, rounds=1))
    assert all("reflected" not in record for path in tmp_path.glob("shard-*") for record in read_lines(path))
    assert "reflected" not in read_json(tmp_path / "summary.json")


def test_the_tries_and_failing_attempts_are_those_of_one_round(tmp_path: Path) -> None:
    for rounds in (1, 3):
        mined(tmp_path / str(rounds), chance_of_each, dataclasses.replace(SETTINGS, rounds=rounds))
    once, thrice = (
        [record for path in sorted((tmp_path / name).glob("shard-*")) for record in read_lines(path)]
        for name in ("1", "3")
    )
    assert any("reflected" in record for record in thrice)
    assert [{key: value for key, value in record.items() if key != "reflected"} for record in thrice] == once


def test_sums_count_failing_attempts_and_failed_retries_apart(tmp_path: Path) -> None:
    summary = mined(tmp_path, passing_in(lambda number: number), dataclasses.replace(SETTINGS, rows=4))
    assert (summary.failures, summary.failed_rows, summary.tries) == (3, 3, 3 + 3)
    # Row 1 passes in round 1, row 2 in round 2, and row 3 in neither.
    assert {key: value for key, value in summary.reflected.items() if key != "tokens"} == {
        "reflections": 5,
        "retries": 5,
        "passes": 2,
        "failures": 3,
        "abstentions": 0,
        "unanswered": 0,
    }
    assert summary.reflected["tokens"] == 5 * len("note 1 on 1") + 2 * len("right") + 3 * len("wrong 1")
    assert "3 more failures in 5 retries after a reflection" in summary.describe()
    assert read_json(tmp_path / "summary.json")["reflected"] == summary.reflected


def test_the_progress_note_counts_failed_retries(tmp_path: Path) -> None:
    progress = KeptProgress()
    engine = ScriptedGenerator(passing_in(lambda number: 9))
    mine(numbers_task(3), engine, tmp_path, dataclasses.replace(SETTINGS, rows=3), {}, progress)
    assert progress.done == progress.total == 3
    assert any("3 failures, pass rate 0%, reflection 1: " in note for note in progress.notes)
    assert progress.notes[-1].startswith("3 failures and 6 after a reflection")


def test_wanted_numbers_count_failing_attempts_alone(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, failures_wanted=4, shard_rows=2)
    summary = mined(tmp_path, passing_in(lambda number: 9), settings)
    assert (summary.failures, summary.reflected["failures"], summary.rows) == (4, 8, 4)


def test_every_failing_attempt_of_a_row_has_rounds_of_its_own_in_each_sweep(tmp_path: Path) -> None:
    settings = MineSettings(rows=8, tries=6, failures_per_row=2, failures_wanted=99, shard_rows=8, seed=2, rounds=2)
    mined(tmp_path, chance_of_each, settings, size=8)
    failures = read_failures(tmp_path)
    first = [each for each in failures if not each.episode.rounds]
    later = [each for each in failures if each.episode.rounds]
    assert any(each.try_index > 0 for each in later)
    assert {each.failure_id.rsplit("-", 1)[0] for each in later} <= {each.failure_id for each in first}
    records = [MinedRow.from_json(record, "x") for record in read_lines(tmp_path / "shard-00000.jsonl")]
    assert sum(each.reflected.reflections for each in records if each.reflected) == len(first)


def test_each_draw_of_each_sweep_has_its_own_seed(tmp_path: Path) -> None:
    engine = ScriptedGenerator(passing_in(lambda number: 9))
    mine(numbers_task(3), engine, tmp_path, dataclasses.replace(SETTINGS, rows=3, tries=1), {})
    stages = ("", "reflection 1", "retry 1", "reflection 2", "retry 2")
    assert [sampling.seed for _, sampling in engine.calls] == [mining_seed(11, 0, 0, stage) for stage in stages]
    assert len({mining_seed(11, 0, 0, stage) for stage in stages}) == 5
    assert mining_seed(0, 0, 0) == 1274094810


@pytest.mark.parametrize("wanted", [0, 7])
@pytest.mark.parametrize("stopped_at", [2, 5, 9, 13])
def test_mining_that_was_stopped_ends_in_the_same_bytes(tmp_path: Path, wanted: int, stopped_at: int) -> None:
    settings = dataclasses.replace(SETTINGS, failures_wanted=wanted)

    class Stopping(ScriptedGenerator):
        def generate(self, *arguments: Any, **keywords: Any) -> list[Generation]:
            if len(self.calls) == stopped_at:
                raise KeyboardInterrupt
            return super().generate(*arguments, **keywords)

    mined(tmp_path / "whole", chance_of_each, settings)
    with pytest.raises(KeyboardInterrupt):
        mine(numbers_task(12), Stopping(chance_of_each), tmp_path / "stopped", settings, {})
    mined(tmp_path / "stopped", chance_of_each, settings)
    assert content(tmp_path / "stopped") == content(tmp_path / "whole")
    read_failures(tmp_path / "stopped")


def test_a_failure_set_from_before_rounds_resumes_with_one_and_is_refused_with_two(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, rounds=1)
    mined(tmp_path, chance_of_each, settings)
    manifest = read_json(tmp_path / "manifest.json")
    del manifest["identity"]["settings"]["rounds"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "SHA256SUMS").unlink()
    mined(tmp_path, chance_of_each, settings)
    with pytest.raises(RrrError, match=r"started with settings\.rounds = 1, and this call has 2"):
        mined(tmp_path, chance_of_each, dataclasses.replace(SETTINGS, rounds=2))


class Odd(ScriptedGenerator):
    """Changes what `passing_in(9)` answers to row 1's reflections or retries."""

    def __init__(self, reflecting: bool, made: Generation) -> None:
        super().__init__(passing_in(lambda number: 9))
        self.reflecting, self.made = reflecting, made

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        made = super().generate(conversations, sampling, on_done)
        return [
            self.made
            if number_of(each) == 1 and len(each) > 1 and is_reflecting(each) == self.reflecting
            else generation
            for each, generation in zip(conversations, made, strict=True)
        ]


@pytest.mark.parametrize(
    ("reflecting", "made", "expected"),
    [
        (True, Generation("  "), (1, 0, 0, 0)),
        (True, Generation("endless", finish="length"), (1, 0, 0, 0)),
        (True, Generation("", missing="content filter"), (0, 0, 0, 1)),
        (False, Generation("", missing="content filter"), (1, 0, 0, 1)),
        (False, Generation("crash"), (1, 1, 1, 0)),
    ],
    ids=["empty", "cut off", "no reflection", "no retry", "withheld"],
)
def test_what_is_nobodys_failure_or_gets_no_retry_ends_the_rounds_and_is_no_failure(
    tmp_path: Path, reflecting: bool, made: Generation, expected: tuple[int, ...]
) -> None:
    settings = dataclasses.replace(SETTINGS, rows=3, tries=1, max_abstain=1.0, max_no_answer=1.0)
    mine(numbers_task(3), Odd(reflecting, made), tmp_path, settings, {})
    assert [each.failure_id for each in read_failures(tmp_path) if each.row_index == 1] == ["1-0"]
    row = MinedRow.from_json(list(read_lines(tmp_path / "shard-00000.jsonl"))[1], "x")
    found = row.reflected
    assert found is not None
    assert (found.reflections, found.retries, found.abstentions, found.unanswered) == expected
    assert (row.tries, row.withheld) == (1, ())


@pytest.mark.parametrize(
    ("made", "error"),
    [(Generation("crash"), TooManyAbstentions), (Generation("", missing="content filter"), TooManyWithoutAnswer)],
)
def test_limits_hold_for_retries_and_for_the_call_that_resumes(
    tmp_path: Path, made: Generation, error: type[Exception]
) -> None:
    settings = dataclasses.replace(SETTINGS, rows=3, tries=1)
    messages = []
    for _ in range(2):
        with pytest.raises(error) as raised:
            mine(numbers_task(3), Odd(False, made), tmp_path, settings, {})
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_failed_retries_are_kept_to_be_judged_again_and_shown(tmp_path: Path) -> None:
    mined(tmp_path / "mine", passing_in(lambda number: number), dataclasses.replace(SETTINGS, rows=4))
    (stage,) = find_stages(tmp_path)
    kinds = [each.kind for _, _, record in read_stage(stage) for each in kept_answers(stage, record, "x")]
    assert kinds == ["attempt", "attempt", "retry", "attempt", "retry", "retry, round 2"]
    report = read_runs([tmp_path]).runs[0].mined
    assert report is not None
    assert (report.failures, report.failed_retries) == (3, 3)


def test_withheld_retries_are_counted_when_a_run_is_judged_again(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, rows=3, tries=1, max_abstain=1.0)
    mine(numbers_task(3), Odd(False, Generation("crash")), tmp_path / "mine", settings, {})
    (stage,) = find_stages(tmp_path)
    assert sum(withheld_without_answer(stage, record) for _, _, record in read_stage(stage)) == 1


def damaged(change: Callable[[dict[str, Any]], object], folder: Path) -> str:
    """The error that reading a damaged row 3 gives."""
    mined(folder, passing_in(lambda number: number), dataclasses.replace(SETTINGS, rows=4))
    record = list(read_lines(folder / "shard-00000.jsonl"))[3]
    change(record["reflected"])
    with pytest.raises(DataError) as raised:
        MinedRow.from_json(record, "a shard:4")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda it: it.update(retries=9), "'retries' must be at most 2"),
        (lambda it: it.update(passes=1), "'retries' must be its passes, withheld verdicts and failures together"),
        (lambda it: it.update(retries="2"), "'retries' must be"),
        (lambda it: it.update(more=1), "has no 'more'"),
        (lambda it: it["failures"].reverse(), "'reflected' must be failures after different rounds"),
        (lambda it: it["failures"][0].update(try_index=1), "'reflected' must be failures after different rounds"),
        (lambda it: it["failures"][0].update(row_index=1), "'failures' must be failures of row 3"),
        (lambda it: it["failures"][0]["segments"].pop(), "'segments' must be an episode that ends in a failed answer"),
    ],
)
def test_damaged_rounds_are_refused_in_one_line(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    message = damaged(change, tmp_path)
    assert message.startswith("a shard:4: ")
    assert words in message


def test_a_failure_must_end_in_the_failed_answer() -> None:
    record = json.loads(json.dumps(make_failure(attempt="3").to_json()))
    record["segments"] += [
        {"role": "prompt", "messages": [{"role": "user", "content": "Reflect."}]},
        {"role": "reflection", "text": "because"},
    ]
    with pytest.raises(DataError, match="an episode that ends in a failed answer"):
        Failure.from_json(record, "a file:1")
