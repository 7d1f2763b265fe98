"""Steps of a task that acts: where they run, what they give, and every way in which one can be at fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rrr_core.answering import play_answers
from rrr_core.episode import Episode, Generation, Segment
from rrr_core.errors import TooManyAbstentions
from rrr_core.hookspecs import Call, Step, final, observed
from rrr_core.tasks import Task, load_task
from rrr_core.tasks.course_values import LONGEST_ANSWER, LONGEST_OBSERVATION, LONGEST_STATE
from rrr_core.verdicts import Verdict, abstained, failed, passed
from rrr_core.verification import Judge, VerifySettings
from rrr_core.verification import batches as batches_of
from rrr_core.verification.messages import BadReply, checked_step_reply, encode_batch, encode_step
from tests.conftest import FakeSite
from tests.stepping import bisection_task
from tests.verification.conftest import needs_fork

PLACES = [
    pytest.param("none", id="here"),
    pytest.param("process", id="sandboxed", marks=needs_fork),
    pytest.param("fresh", id="fresh", marks=needs_fork),
]
SOURCE = """
import os
from rrr_core import hookimpl, passed
from rrr_core.hookspecs import Call, Step, final, observed, trusted

@hookimpl
def rrr_load_dataset(split): return [{"n": 1}]

@hookimpl
def rrr_prompt(row): return "?"

@hookimpl
@trusted
def rrr_verify(row, answer): return passed()

@hookimpl
def rrr_step(row, state, action):
    seen = [*(state or []), action]
    if action.startswith("say "):
        return observed(action[4:], seen)
    if action.startswith("end "):
        return final(f"{action[4:]} after {len(seen) - 1}")
    given = {}
    exec(action, {"row": row, "state": state, "Step": Step, "final": final, "observed": observed}, given)
    return given.get("step")
"""
"""Runs any other action as code: the worst step there can be."""


@pytest.fixture
def make(site: FakeSite) -> Callable[..., Task]:
    """Install and load the task that runs its actions."""

    def make(source: str = SOURCE, overlays: Any = ()) -> Task:
        site.install_task("acting", source)
        return load_task("acting", overlays)

    return make


def stepped(
    task: Task, *actions: str, states: Any = None, isolation: str = "process", **limits: Any
) -> list[Step | Verdict]:
    settings = VerifySettings(**{"isolation": isolation, "workers": 1, "memory_mb": 256, "seconds": 60.0, **limits})
    with Judge(task, max_abstain=1, settings=settings) as judge:
        return judge.step([({"n": 1}, action) for action in actions], states or [None] * len(actions))


@pytest.mark.parametrize("isolation", PLACES)
class TestWherever:
    def test_a_step_gives_an_observation_with_a_state_or_an_answer(self, make: Any, isolation: str) -> None:
        given = stepped(make(), "say hello", "end now", "end \ud83d\ude00", isolation=isolation)
        assert given[:2] == [observed("hello", ["say hello"]), final("now after 0")]

    def test_it_starts_from_the_state_that_it_is_given(self, make: Any, isolation: str) -> None:
        given = stepped(make(), "say a", "end b", states=[["x"], ["x", "y"]], isolation=isolation)
        assert given == [observed("a", ["x", "say a"]), final("b after 2")]

    @pytest.mark.parametrize(
        ("code", "says"),
        [
            ("pass", "gave None, not a Step: return observed(text, state) or final(answer)"),
            ("step = 'higher'", "gave a str, not a Step"),
            ("step = observed('')", "gave blank text"),
            ("step = observed(3)", "gave an int, not a str"),
            ("step = final('\\ud800')", "gave text with a lone surrogate at character 0"),
            ("step = Step('seen', None, 'answer')", "gave a Step with an answer and an observation or a state"),
            ("step = observed('x', {1, 2})", "gave a state that is not JSON"),
            ("step = observed('x', float('nan'))", "gave a state that is not JSON"),
            (f"step = observed('x' * {LONGEST_OBSERVATION + 1})", "gave an observation of 32,769 characters"),
            (f"step = observed('x', 'y' * {LONGEST_STATE})", "gave a state of 262,146 characters"),
            (f"step = final('x' * {LONGEST_ANSWER + 1})", "gave an answer of 1,048,577 characters"),
            ("s = []\nfor _ in range(300): s = [s]\nstep = observed('x', s)", "gave a state that is nested too deeply"),
        ],
    )
    def test_what_is_no_step_is_an_abstention_blamed_on_rrr_step(
        self, make: Any, isolation: str, code: str, says: str
    ) -> None:
        first, bad, last = stepped(make(), "say a", code, "say b", isolation=isolation)
        assert (first, last) == (observed("a", ["say a"]), observed("b", ["say b"]))
        assert isinstance(bad, Verdict)
        assert (bad.outcome, bad.category) == ("abstained", "bad step")
        assert bad.detail.startswith(f"rrr-acting 1.0, hook rrr_step: {says}")

    @pytest.mark.parametrize(
        ("code", "what"),
        [
            ("step = observed('no command: ' + SAID)", "an observation of 40,0"),
            ("step = final(SAID * 4 + 'x' * 900_000)", "an answer of 1,060,0"),
            ("step = observed('x', [SAID, 'y' * 230_000])", "a state of 270,"),
        ],
    )
    def test_what_is_too_long_for_repeating_the_action_is_a_failure_of_the_action(
        self, make: Any, isolation: str, code: str, what: str
    ) -> None:
        action = f"SAID = {'word ' * 8_000!r}\n{code}"
        bad, last = stepped(make(), action, "say b", isolation=isolation)
        assert isinstance(bad, Verdict)
        assert (bad.outcome, bad.category) == ("failed", "too long")
        assert bad.detail.startswith(f"a step that repeats the action gave {what}")
        assert last == observed("b", ["say b"])

    def test_what_is_too_long_by_itself_stays_a_fault_however_long_the_action(self, make: Any, isolation: str) -> None:
        action = f"SAID = {'word ' * 8_000!r}\nstep = observed(''.join(f'wall {{n}}, ' for n in range(4_000)))"
        (bad,) = stepped(make(), action, isolation=isolation)
        assert isinstance(bad, Verdict)
        assert (bad.outcome, bad.category) == ("abstained", "bad step")

    def test_the_longest_texts_and_state_pass(self, make: Any, isolation: str) -> None:
        codes = [
            f"step = observed('é' * {LONGEST_OBSERVATION}, 'é' * {LONGEST_STATE - 2})",
            f"step = final('é' * {LONGEST_ANSWER})",
        ]
        first, last = stepped(make(), *codes, isolation=isolation)
        assert first == observed("é" * LONGEST_OBSERVATION, "é" * (LONGEST_STATE - 2))
        assert last == final("é" * LONGEST_ANSWER)

    @pytest.mark.parametrize(
        ("code", "kind"),
        [("raise KeyError('x')", "exception"), ("raise SystemExit", "exit"), ("raise MemoryError", "memory")],
    )
    def test_what_it_raises_is_an_abstention_that_names_distribution_and_hook(
        self, make: Any, isolation: str, code: str, kind: str
    ) -> None:
        bad, last = stepped(make(), code, "say b", isolation=isolation)
        assert isinstance(bad, Verdict)
        assert (bad.outcome, bad.category) == ("abstained", kind)
        assert bad.detail.startswith("rrr-acting 1.0, hook rrr_step: ")
        assert last == observed("b", ["say b"])

    def test_a_row_and_a_state_that_it_changes_stay_as_they_were(self, make: Any, isolation: str) -> None:
        row, state = {"n": [1]}, {"seen": [1]}
        code = "row['n'].append(2); state['seen'].append(len(row['n'])); step = observed('x', state)"
        settings = VerifySettings(isolation=isolation, workers=1)
        with Judge(make(), max_abstain=1, settings=settings) as judge:
            given = judge.step([(row, code)] * 2, [state] * 2)
        assert given == [observed("x", {"seen": [1, 2]})] * 2
        assert (row, state) == ({"n": [1]}, {"seen": [1]})

    def test_no_actions_are_no_steps(self, make: Any, isolation: str) -> None:
        assert stepped(make(), isolation=isolation) == []


@needs_fork
@pytest.mark.parametrize(
    ("code", "kind", "detail"),
    [
        ("import os; os._exit(3)", "exit", "exited with status 3"),
        ("import os; os.abort()", "crash", "SIGABRT"),
        ("bytearray(1 << 40)", "memory", "MemoryError"),
        ("import time; time.sleep(60)", "timeout", "no step within 2 seconds"),
        ("while True: pass", "timeout", "CPU seconds"),
    ],
)
def test_what_ends_its_process_is_an_abstention_and_the_other_courses_go_on(
    make: Any, code: str, kind: str, detail: str
) -> None:
    seconds = 2.0 if "sleep" in code else 60.0  # a busy machine takes its time to give one half a second of work
    first, bad, last = stepped(make(), "say a", code, "say b", seconds=seconds, cpu_seconds=0.5)
    assert (first, last) == (observed("a", ["say a"]), observed("b", ["say b"]))
    assert isinstance(bad, Verdict)
    assert (bad.outcome, bad.category) == ("abstained", kind)
    assert bad.detail.startswith("rrr-acting 1.0, hook rrr_step")
    assert detail in bad.detail


@needs_fork
@pytest.mark.parametrize(
    "said",
    [
        b"garbage\n",
        b'[0, "final", "right"]\n' * 3,
        b'[0, "passed"]\n',
        b"[" * 100_000,
        b'[0, "observed", "x", ' + b"[" * 10_000 + b"]" * 10_000 + b"]\n",
    ],
    ids=["garbage", "a forged end", "a verdict", "an endless line", "a deep state"],
)
def test_what_a_worker_says_is_read_as_hostile_and_a_forgery_is_refused(make: Any, said: bytes) -> None:
    first, bad, last = stepped(make(), "say a", f"import os; os.write(3, {said!r})", "say b")
    assert (first, last) == (observed("a", ["say a"]), observed("b", ["say b"]))
    assert isinstance(bad, Verdict)
    assert bad.outcome == "abstained"
    assert "rrr-acting 1.0, hook rrr_step" in bad.detail


@pytest.mark.parametrize(
    "said",
    [
        [8, "final", "right"],
        [7, "final", "right", "more"],
        [7, "final", 5],
        [7, "final", "x" * (LONGEST_ANSWER + 1)],
        [7, "observed", "text"],
        [7, "observed", "", None],
        [7, "observed", "text", "s" * LONGEST_STATE],
        [7, "passed"],
        [7, "failed", "wrong", ""],
        [7, "abstained", "no answer", ""],
        [True, "final", "right"],
        {"final": "right"},
    ],
    ids=repr,
)
def test_a_line_that_no_honest_worker_sends_is_refused(said: object) -> None:
    with pytest.raises(BadReply):
        checked_step_reply(json.dumps(said).encode(), 7)


@pytest.mark.parametrize(
    "given", [observed("é\n", {"a": [1, None]}), observed("x"), final("done\n"), abstained("exception", "a bug")]
)
def test_what_a_worker_writes_is_read_back_the_same(given: Step | Verdict) -> None:
    assert checked_step_reply(encode_step(7, given), 7) == given


def test_a_batch_holds_a_state_for_each_item_and_each_row_once() -> None:
    row = {"n": 1}
    batch = json.loads(encode_batch([(row, "a"), (row, "b")], 7, states=[None, {"x": 1}])[8:])
    assert batch == {"first": 7, "rows": [row], "items": [[0, "a"], [0, "b"]], "states": [None, {"x": 1}]}


@needs_fork
def test_a_trusted_step_runs_in_this_process_and_any_other_in_one_of_its_own() -> None:
    for is_trusted in (True, False):
        with Judge(bisection_task(1, is_trusted=is_trusted)) as judge:
            assert judge.isolated is not is_trusted


@needs_fork
def test_here_and_sandboxed_steps_are_equal_and_in_order(make: Any) -> None:
    actions = [("say a", "end b", "raise KeyError", "step = observed('é', [{}, state])")[n % 4] for n in range(600)]
    states = [[{"n": n}] * (n % 3) or None for n in range(600)]
    here = stepped(make(), *actions, states=states, isolation="none")
    sandboxed = stepped(load_task("acting"), *actions, states=states, workers=3)
    assert sandboxed == here


def test_faults_of_steps_count_against_the_limit_of_withheld_verdicts(make: Any) -> None:
    settings = VerifySettings(isolation="none")
    judge = Judge(make(), max_abstain=0.5, minimum=10, settings=settings)
    with judge, pytest.raises(TooManyAbstentions, match="withheld 11 of 20 verdicts.*hook rrr_step"):
        judge.step([({"n": 1}, "raise KeyError")] * 20, [None] * 20)


CALLING = """
import json
from rrr_core import hookimpl, passed
from rrr_core.hookspecs import final, observed

@hookimpl
def rrr_load_dataset(split): return [{"n": 1}]

@hookimpl
def rrr_prompt(row): return "?"

@hookimpl
def rrr_verify(row, answer): return passed()

@hookimpl
def rrr_step(action, calls):
    if action == "spoil":
        calls[0].arguments.clear()
    return observed(json.dumps([action, [[type(each).__name__, each.name, each.arguments] for each in calls]]))
"""


@pytest.mark.parametrize("place", PLACES)
def test_calls_come_to_the_step_beside_the_action(make: Callable[..., Task], place: str) -> None:
    calls = [(Call("f", {"a": [1, None, "“é”"], "b": {"c": 1.5}}), Call("g", {})), (), (Call("h", {"x": 1}),)]
    with Judge(make(CALLING), settings=VerifySettings(isolation=place)) as judge:
        steps = judge.step([({"n": 1}, text) for text in ("do", "say", "spoil")], [None, 2, 3], calls)
        plain = judge.step([({"n": 1}, "do")], [None])
    seen = [json.loads(step.observation) if isinstance(step, Step) else step for step in steps]
    assert seen[0] == ["do", [["Call", each.name, each.arguments] for each in calls[0]]]
    assert seen[1:] == [["say", []], ["spoil", [["Call", "h", {}]]]]
    assert calls[2][0].arguments == {"x": 1}
    assert isinstance(plain[0], Step)
    assert json.loads(plain[0].observation) == ["do", []]


def test_a_batch_without_calls_is_sent_as_before() -> None:
    assert encode_batch([({"n": 1}, "x")], 7, states=[None], calls=[()]) == encode_batch(
        [({"n": 1}, "x")], 7, states=[None]
    )


def test_a_worker_may_say_of_a_step_that_it_failed_for_its_length_alone() -> None:
    said = failed("too long", "why")
    assert checked_step_reply(encode_step(3, said), 3) == said
    for other in (failed("wrong", "why"), passed()):
        with pytest.raises(BadReply):
            checked_step_reply(encode_step(3, other), 3)


def test_states_and_calls_count_towards_the_size_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_of, "BATCH_CHARACTERS", 1_000)
    pairs = [({}, "x")] * 8
    sizes = {
        "neither": [each.stop - each.start for each in batches_of.batches(pairs, 1)],
        "states": [each.stop - each.start for each in batches_of.batches(pairs, 1, states=["y" * 400] * 8)],
        "calls": [
            each.stop - each.start
            for each in batches_of.batches(pairs, 1, states=[None] * 8, calls=[[Call("say", {"a": "y" * 400})]] * 8)
        ],
    }
    assert sizes == {"neither": [8], "states": [2, 2, 2, 2], "calls": [2, 2, 2, 2]}


class TestTheLimitOnFaults:
    """It is a share of all courses, whatever decided them and whether they have ended."""

    def test_counts_courses_that_are_underway(self) -> None:
        with Judge(bisection_task(), max_abstain=0.01, minimum=100) as judge:
            judge.step(
                [({"number": 1, "most": 7}, action) for action in ["crash"] * 2 + ["guess 1"] * 198], [None] * 200
            )
            with pytest.raises(TooManyAbstentions, match="withheld 3 of 200 verdicts"):
                judge.step([({"number": 1, "most": 7}, "crash")], [[1]], waiting=197)

    def test_counts_courses_that_no_verifier_was_asked_about(self) -> None:
        task = bisection_task()
        said = iter(["crash"] + ["guess 1"] * 199)

        def draw(_stage: str, episodes: Any) -> list[Generation]:
            return [Generation(next(said)) for _ in episodes]

        asked = [Episode(place, {"number": 1, "most": 7}, (Segment("prompt"),)) for place in range(200)]
        with Judge(task, max_abstain=0.01, minimum=100) as judge:
            play_answers(task, judge, "attempt", asked, draw, "attempt", max_steps=1)
            assert (judge.judged, judge.abstained) == (200, 1)
            judge.finish()
