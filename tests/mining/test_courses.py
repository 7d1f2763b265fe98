"""Mining a task that acts in steps: tries are courses, counted whole, and failures hold all that was acted and seen."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rrr_core.episode import Episode, Generation, Segment
from rrr_core.errors import RrrError
from rrr_core.hookspecs import Call, Message
from rrr_core.mining import MineSettings, mine
from rrr_core.mining.failure_set import read_failures
from rrr_core.mining.rounds import OpenRow
from rrr_core.runs.files import read_json, write_json
from rrr_core.seeds import mining_seed
from rrr_core.verdicts import failed
from tests.fakes import Conversation, KeptProgress, ScriptedGenerator, numbers_task
from tests.mining.test_resume import content
from tests.stepping import bisecting, bisection_task

ROOT = Path(__file__).parents[2]
SETTINGS = MineSettings(rows=40, tries=4, rounds=3, max_steps=4, shard_rows=4, failures_per_row=2, seed=11)
MINER = """
    import sys
    from pathlib import Path
    from rrr_core.mining import MineSettings, mine
    from tests.fakes import ScriptedGenerator
    from tests.stepping import bisecting, bisection_task
    settings = MineSettings(
        rows=40, tries=4, rounds=3, max_steps=4, shard_rows=4, failures_per_row=2, seed=11
    )
    print("ready", flush=True)
    mine(bisection_task(40), ScriptedGenerator(bisecting, delay=0.01), Path(sys.argv[1]), settings, {})
"""


class Scripted(ScriptedGenerator):
    """Plays given courses at the one row, one after the other; on a request to reflect it says that it erred."""

    def __init__(self, *courses: Sequence[str | Generation], room: int = 100) -> None:
        self.left, self.room = [list(course) for course in courses], room
        super().__init__(self._next)

    def _next(self, conversation: Conversation, _: random.Random) -> str | Generation:
        if conversation[-1]["content"].startswith("You tried"):
            return "I erred."
        if not self.left[0]:
            self.left.pop(0)
        return self.left[0].pop(0)

    def has_room(self, conversation: Sequence[Message]) -> bool:
        return len(conversation) < self.room


def mined(folder: Path, engine: ScriptedGenerator, **settings: Any) -> Mapping[str, Any]:
    mine(bisection_task(1), engine, folder, MineSettings(rows=1, **settings), {})
    record: Mapping[str, Any] = json.loads((folder / "shard-00000.jsonl").read_text(encoding="utf-8"))
    return record


def texts(failure: Mapping[str, Any]) -> list[str]:
    return [each["text"] if "text" in each else each["messages"][0]["content"] for each in failure["segments"][1:]]


def test_a_failure_holds_the_whole_course_and_what_was_judged(tmp_path: Path) -> None:
    mined(tmp_path, Scripted(["guess 3", "guess 1", "answer 1"]), tries=1)
    (failure,) = read_failures(tmp_path)
    assert texts(failure.to_json()) == ["guess 3", "lower", "guess 1", "lower", "answer 1"]
    assert (failure.failure_id, failure.attempt, failure.verdict.category) == ("0-0", "1 after 3, 1", "wrong number")
    assert [each.role for each in failure.episode.segments] == ["prompt", *["attempt", "observation"] * 2, "attempt"]


def test_tokens_and_cut_off_tries_are_those_of_whole_courses(tmp_path: Path) -> None:
    half = Generation("gu", (1, 2), "length")
    row = mined(tmp_path, Scripted(["guess 3", half], ["guess 3", "answer 0"]), tries=2)
    assert (row["tries"], row["tokens"], row["sampled"], row["cut_off"]) == (1, 9, 1, 1)
    assert row["failures"][0]["segments"][-1]["judged"] == ""
    assert row["failures"][0]["segments"][-1]["verdict"]["category"] == "cut off"


def test_a_repeated_failing_course_is_a_try_but_not_another_failure(tmp_path: Path) -> None:
    course, other = ["guess 3", "answer 1"], ["guess 2", "answer 1"]
    row = mined(tmp_path, Scripted(course, course, other), tries=3, failures_per_row=9)
    assert [failure["failure_id"] for failure in row["failures"]] == ["0-0", "0-2"]
    assert row["tries"] == 3


def test_courses_without_an_answer_differ_in_their_actions(tmp_path: Path) -> None:
    row = mined(tmp_path, Scripted(["a", "b"], ["a", "c"], ["a", "b"]), tries=3, failures_per_row=9, max_steps=2)
    assert [failure["failure_id"] for failure in row["failures"]] == ["0-0", "0-1"]
    assert {failure["segments"][-1]["verdict"]["category"] for failure in row["failures"]} == {"step limit"}


def test_a_course_that_fills_the_context_is_a_failed_try_but_no_failure_to_reflect_on(tmp_path: Path) -> None:
    row = mined(tmp_path, Scripted(["guess 3", "guess 1", "answer 1"], room=5), tries=1)
    assert (row["tries"], row["passes"], row["failures"], row["withheld"]) == (1, 0, [], [])


def test_a_fault_of_the_step_sets_the_row_aside(tmp_path: Path) -> None:
    row = mined(tmp_path, Scripted(["guess 3", "crash"]), tries=3, max_abstain=1.0)
    assert (row["tries"], row["failures"]) == (1, [])
    assert "hook rrr_step: ZeroDivisionError" in row["withheld"][0]["detail"]


def test_retries_of_mined_rounds_are_courses_as_well(tmp_path: Path) -> None:
    engine = Scripted(["answer 1"], ["guess 3", "answer 2"], ["guess 5", "guess 1", "answer 0"])
    row = mined(tmp_path, engine, tries=1, rounds=4)
    (failed,) = row["reflected"]["failures"]
    assert failed["failure_id"] == "0-0-1"
    assert texts(failed)[2::2] == ["I erred.", "guess 3", "answer 2"]
    assert [each["role"] for each in failed["segments"][-3:]] == ["retry", "observation", "retry"]
    retries = len("guess 3answer 2guess 5guess 1answer 0")
    assert row["reflected"]["tokens"] == retries + 2 * len("I erred.")
    assert (row["reflected"]["retries"], row["reflected"]["passes"]) == (2, 1)


def test_a_retry_that_fills_the_context_is_no_failure_and_is_not_reflected_on(tmp_path: Path) -> None:
    row = mined(tmp_path, Scripted(["answer 1"], ["guess 3", "guess 3"], room=7), tries=1, rounds=4)
    assert row["reflected"]["failures"] == []
    assert (row["reflected"]["reflections"], row["reflected"]["retries"]) == (1, 0)
    assert read_failures(tmp_path)[0].failure_id == "0-0"


def test_each_step_has_a_seed_of_its_own(tmp_path: Path) -> None:
    engine = Scripted(["guess 3", "answer 1"], ["guess 3", "answer 2"])
    mined(tmp_path, engine, tries=1, rounds=2, seed=3)
    stages = ("", "step 2", "reflection 1", "retry 1", "retry 1, step 2")
    assert [sampling.seed for _, sampling in engine.calls] == [mining_seed(3, 0, 0, stage) for stage in stages]


def test_progress_says_the_step(tmp_path: Path) -> None:
    progress = KeptProgress()
    mine(bisection_task(4), ScriptedGenerator(bisecting), tmp_path, MineSettings(rows=4, tries=1), {}, progress)
    assert "0 failures, try 1: 4 of 4 answers" in progress.notes
    assert any(note.startswith("0 failures, try 1, step 2: ") for note in progress.notes)
    assert progress.done == progress.total == 4


def test_a_step_limit_is_refused_for_a_task_without_steps(tmp_path: Path) -> None:
    with pytest.raises(RrrError, match="'numbers' does not act in steps, so --max-steps would do nothing"):
        mine(numbers_task(1), ScriptedGenerator(), tmp_path, MineSettings(rows=1, max_steps=3), {})


def test_a_folder_from_before_there_were_steps_is_resumed(tmp_path: Path) -> None:
    settings = MineSettings(rows=8, tries=2, shard_rows=4)
    summary = mine(numbers_task(8), ScriptedGenerator(), tmp_path, settings, {})
    manifest = read_json(tmp_path / "manifest.json")
    del manifest["identity"]["settings"]["max_steps"]
    write_json(tmp_path / "manifest.json", manifest)
    (tmp_path / "shard-00001.jsonl").unlink()
    (tmp_path / "summary.json").unlink()
    assert mine(numbers_task(8), ScriptedGenerator(), tmp_path, settings, {}).failures == summary.failures


def test_mining_killed_in_mid_course_ends_in_the_same_bytes(tmp_path: Path) -> None:
    mine(bisection_task(40), ScriptedGenerator(bisecting), tmp_path / "whole", SETTINGS, {})
    folder, chance, seen = tmp_path / "killed", random.Random(5), set()
    command = [sys.executable, "-c", textwrap.dedent(MINER), str(folder)]
    for kill in range(5):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as miner:
            assert miner.stdout is not None
            assert miner.stdout.readline() == "ready\n"
            while miner.poll() is None and len(list(folder.glob("shard-*"))) < 2 * kill:
                time.sleep(0.002)
            # A shard takes a call for each step, 10 ms each: this falls between its first and its last.
            time.sleep(chance.uniform(0.01, 0.08))
            miner.send_signal(signal.SIGKILL)
        seen.add(len(list(folder.glob("shard-*"))))
    assert len(seen - {0, 10}) > 1, "no kill fell into the middle of the run"
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert content(folder) == content(tmp_path / "whole")


def test_courses_that_call_differently_are_different_failures() -> None:
    def calling(text: str) -> Episode:
        action = Segment("attempt", calls=(Call("look", {"for": text}),), judged="", verdict=failed("step limit"))
        return Episode(0, {}, (Segment("prompt", ({"role": "user", "content": "1"},)), action))

    row = OpenRow(0, {})
    for text in ("a", "b", "a"):
        row.count(calling(text), None)
    assert (row.tries, len(row.failures)) == (3, 2)
