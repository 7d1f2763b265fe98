"""Evaluating a task that acts in steps: first tries, retries and every control's tries are courses.

As a program it evaluates into a folder and kills itself at a given request: `test_courses.py FOLDER REQUEST`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rrr_core.conversation import conversation
from rrr_core.episode import Generation
from rrr_core.errors import RrrError
from rrr_core.evaluation import EvalSettings, Figures, evaluate, read_episodes
from rrr_core.evaluation.controls import CONTROL_KEYS
from rrr_core.hookspecs import Message
from rrr_core.seeds import evaluation_seed
from rrr_core.verdicts import FULL
from tests.fakes import Conversation, KeptProgress, ScriptedGenerator, numbers_task
from tests.stepping import bisecting, bisection_task

ROOT = Path(__file__).parents[2]
KILLED = {"rows": 12, "shard_rows": 5, "seed": 5, "max_steps": 4, "rounds": 2, "decide": ("model", "agreement")}


def run(folder: Path, engine: ScriptedGenerator | None = None, progress: Any = None, **settings: Any) -> Figures:
    engine = engine or ScriptedGenerator(bisecting)
    return evaluate(bisection_task(40), engine, folder, "m", EvalSettings(**settings), {}, progress)


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".json", ".jsonl")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ScriptedGenerator, Figures]:
    folder, engine = tmp_path_factory.mktemp("whole"), ScriptedGenerator(bisecting)
    return folder, engine, run(folder, engine, rows=40, shard_rows=40, max_steps=4, rounds=2, modes=("sampled",))


class TestOneEvaluation:
    def test_every_conversation_follows_whole_courses(self, whole: Any) -> None:
        _, engine, _ = whole
        for asked, _ in engine.calls:
            for each in asked:
                for action, read in zip(each[1::2], each[2::2], strict=True):
                    answered = action["content"].startswith("answer ") or action["content"].startswith("I was careless")
                    is_seen = read["content"] in ("higher", "lower", "found", "Write `guess N` or `answer N`.")
                    limited = action["content"].startswith(("guess", "hm")) and not is_seen
                    assert is_seen is not answered or limited

    def test_each_step_has_a_stage_and_a_seed_of_its_own(self, whole: Any) -> None:
        _, engine, _ = whole
        stages = [
            *("first_try", "reflection", "retry", *CONTROL_KEYS),
            *("reflection 2", "retry 2", *(f"{key} 2" for key in CONTROL_KEYS)),
        ]
        steps = [
            *stages,
            *(f"{each}, step {n}" for each in stages if not each.startswith("reflection") for n in (2, 3, 4)),
        ]
        named = {evaluation_seed(0, "sampled", 0, name): name for name in steps}
        asked = [named[sampling.seed] for _, sampling in engine.calls]
        assert len(asked) == len(set(asked))
        assert {"first_try, step 4", "retry, step 2", "independent, step 2", "no_reflection 2, step 2"} <= set(asked)

    def test_a_controls_answer_is_what_was_judged(self, whole: Any) -> None:
        folder, _, _ = whole
        answers = [
            (answer, verdict)
            for each in read_episodes(folder, "sampled")
            for tries in each.controls.values()
            for answer, verdict in tries
        ]
        assert all(" after " in answer for answer, verdict in answers if verdict.category != "step limit")
        assert all(not answer for answer, verdict in answers if verdict.category == "step limit")

    def test_the_mean_number_of_actions_is_that_of_the_shards(self, whole: Any) -> None:
        folder, _, made = whole
        episodes = list(read_episodes(folder, "sampled"))
        figures = made.modes["sampled"].to_json()
        first = [len(each.attempts) for each in episodes]
        second = [len(each.actions) for episode in episodes for each in episode.rounds]
        assert figures["actions"] == {
            "first_try": sum(first) / len(first),
            "second_try": sum(second) / len(second),
        }
        assert 1 < figures["actions"]["first_try"] <= 4

    def test_the_courses_that_met_the_step_limit_are_counted(self, whole: Any) -> None:
        folder, _, made = whole
        figures = made.modes["sampled"].to_json()
        ended = Counter(each.verdict.category for each in read_episodes(folder, "sampled"))
        assert figures["step_limit"]["first_try"] == (ended["step limit"], 40)
        assert ended["step limit"] > 0
        assert figures["error_classes"]["first"]["step limit"] == ended["step limit"]
        assert "context_full" not in figures


def test_a_figure_of_courses_is_absent_for_a_task_without_steps(tmp_path: Path) -> None:
    evaluate(numbers_task(9), ScriptedGenerator(), tmp_path, "m", EvalSettings(rows=9), {})
    for figures in json.loads((tmp_path / "figures.json").read_text())["modes"].values():
        assert not {"actions", "step_limit", "context_full"} & figures.keys()


def test_a_step_limit_is_refused_for_a_task_without_steps(tmp_path: Path) -> None:
    with pytest.raises(RrrError, match="'numbers' does not act in steps, so --max-steps would do nothing"):
        evaluate(numbers_task(9), ScriptedGenerator(), tmp_path / "e", "m", EvalSettings(rows=9, max_steps=1), {})
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize("decide", [(), ("model", "agreement:samples=2")], ids=["no deciders", "deciders"])
def test_the_bar_ends_full_however_long_the_courses_were(tmp_path: Path, decide: Any) -> None:
    progress = KeptProgress()
    run(tmp_path, progress=progress, rows=24, shard_rows=10, max_steps=4, rounds=2, decide=decide)
    assert progress.done == progress.total > 0
    assert "greedy, first try, step 2" in progress.notes


def test_a_cut_off_course_counts_once(tmp_path: Path) -> None:
    def cut(talk: Conversation, chance: random.Random) -> str | Generation:
        return Generation("gue", (1, 2), "length") if len(talk) == 3 else bisecting(talk, chance)

    made = run(tmp_path, ScriptedGenerator(cut), rows=40, modes=("sampled",), max_steps=8)
    figures = made.modes["sampled"].to_json()
    longer = [each for each in read_episodes(tmp_path, "sampled") if len(each.attempts) > 1]
    assert tuple(figures["cut_off"]["first_try"]) == (len(longer), 40)
    assert all(each.verdict.category == "cut off" for each in longer)


class Narrow(ScriptedGenerator):
    """Its context has room for so many messages, and it is never asked to write after more."""

    def __init__(self, room: int) -> None:
        super().__init__(bisecting)
        self.room = room

    def has_room(self, conversation: Sequence[Message]) -> bool:
        return len(conversation) <= self.room

    def generate(self, conversations: Any, sampling: Any, on_done: Any = None) -> list[Generation]:
        assert all(map(self.has_room, conversations))
        return super().generate(conversations, sampling, on_done)


@pytest.mark.parametrize("room", [0, 3, 7])
def test_courses_that_fill_the_context_fail_and_the_evaluation_ends(tmp_path: Path, room: int) -> None:
    progress = KeptProgress()
    made = run(tmp_path, Narrow(room), progress, rows=24, rounds=2, decide=("agreement", "model"), modes=("sampled",))
    figures = made.modes["sampled"].to_json()
    met, of = figures["context_full"]["first_try" if room < 5 else "second_try"]
    assert 0 < met <= of
    assert progress.done == progress.total
    assert figures["first_try"]["total"] == figures["second_try"]["total"] == 24
    for each in read_episodes(tmp_path, "sampled"):
        if each.is_full:
            assert each.last_verdict == FULL


def test_deciders_see_whole_courses_and_what_was_judged(tmp_path: Path) -> None:
    engine = ScriptedGenerator(bisecting)
    made = run(
        tmp_path,
        engine,
        rows=24,
        shard_rows=24,
        decide=("model", "agreement:samples=3"),
        modes=("greedy",),
        max_steps=4,
    )
    asked = next(talks for talks, _ in engine.calls if talks[0][-1]["content"].startswith("Is your answer right?"))
    episodes = list(read_episodes(tmp_path, "greedy"))
    decidable = [each for each in episodes if each.attempt.judged]
    assert [talk[:-1] for talk in asked] == [conversation(each.first_try) for each in decidable]
    for each in episodes:
        ended = "" if each.attempt.judged else each.verdict.category
        agreement = each.decisions["agreement:samples=3,need=0.5"]
        assert (agreement.choice, agreement.category) == ("retry", ended) if ended else agreement.category == ""
    samples = [sampling.temperature for _, sampling in engine.calls if sampling.temperature]
    assert samples, "samples are drawn at temperature 1 in greedy mode, as are those of their later steps"
    tokens = made.modes["greedy"].deciders["oracle"].tokens
    assert tokens is not None
    lengths = [sum(len(action.text) for action in each.attempts) for each in episodes]
    assert tokens.first_try == pytest.approx(sum(lengths) / len(lengths))


def test_a_fault_of_the_step_leaves_the_row_out(tmp_path: Path) -> None:
    def faulty(talk: Conversation, chance: random.Random) -> str:
        return "crash" if len(talk) == 3 else bisecting(talk, chance)

    made = run(tmp_path, ScriptedGenerator(faulty), rows=40, modes=("sampled",), max_abstain=1.0)
    withheld = [each for each in read_episodes(tmp_path, "sampled") if each.verdict.is_abstained]
    assert made.modes["sampled"].abstentions["first_try"] == len(withheld) > 0
    assert all(each.attempt.judged == "" and not each.rounds for each in withheld)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    run(folder, **KILLED)
    return results(folder)


@pytest.mark.parametrize("request_number", [1, 9, 40])
def test_an_evaluation_killed_in_mid_course_resumes_to_the_same_bytes(
    tmp_path: Path, request_number: int, uninterrupted: dict[str, bytes]
) -> None:
    command = [sys.executable, __file__, str(tmp_path / "killed"), str(request_number)]
    killed = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "figures.json").exists()
    run(tmp_path / "killed", **KILLED)
    after, before = results(tmp_path / "killed"), dict(uninterrupted)
    for name in ("manifest.json", "profile.json"):
        del after[name], before[name]
    assert after == before


if __name__ == "__main__":

    class Killer(ScriptedGenerator):
        def generate(self, *asked: Any) -> list[Generation]:
            if len(self.calls) == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
            return super().generate(*asked)

    run(Path(sys.argv[1]), Killer(bisecting), **KILLED)
