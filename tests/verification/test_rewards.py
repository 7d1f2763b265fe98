"""Rewards from 0 to 1 beside verdicts: asked only by a judge of scores, and a fault is never a reward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rrr_core.episode import Generation
from rrr_core.errors import PluginError, TooManyAbstentions
from rrr_core.tasks import Task, load_task
from rrr_core.verdicts import Verdict, failed, passed
from rrr_core.verification import Judge, VerifySettings
from rrr_core.verification.messages import BadReply, checked_reply, encode_batch
from tests.conftest import FakeSite
from tests.verification.conftest import needs_fork

PLACES = [
    pytest.param("none", id="here"),
    pytest.param("process", id="sandboxed", marks=needs_fork),
    pytest.param("fresh", id="fresh", marks=needs_fork),
]
SOURCE = """
from rrr_core import failed, hookimpl, passed
from rrr_core.hookspecs import trusted

@hookimpl
def rrr_load_dataset(split): return [{{"n": 1}}]

@hookimpl
def rrr_prompt(row): return "?"

@hookimpl{verify_mark}
def rrr_verify(row, answer):
    if answer == "broken":
        raise KeyError("verify")
    return passed() if answer.startswith("right") else failed("wrong", "not right")

@hookimpl{reward_mark}
def rrr_reward(row, answer, verdict):
    {reward}
"""
MARK = "\n@trusted"


@pytest.fixture
def make(site: FakeSite) -> Callable[..., Task]:
    """Install and load a task with this body of `rrr_reward`."""

    def make(reward: str = "return None", marks: tuple[str, str] = ("", ""), overlays: Any = ()) -> Task:
        source = SOURCE.format(reward=reward.replace("\n", "\n    "), verify_mark=marks[0], reward_mark=marks[1])
        site.install_task("paid", source)
        return load_task("paid", overlays)

    return make


def judged(task: Task, *answers: str, isolation: str = "none", scores: bool = True, **limits: Any) -> list[Verdict]:
    settings = VerifySettings(**{"isolation": isolation, "workers": 1, "memory_mb": 256, **limits})
    with Judge(task, max_abstain=1, settings=settings, scores=scores) as judge:
        return judge.judge([({"n": 1}, answer) for answer in answers])


@pytest.mark.parametrize("isolation", PLACES)
class TestScores:
    def test_a_number_is_the_verdicts_score_and_its_reward(self, make: Any, isolation: str) -> None:
        task = make("return 0.75 if verdict.is_passed else 0.25")
        right, wrong = judged(task, "right", "wrong", isolation=isolation)
        assert (right.outcome, right.score, right.reward) == ("passed", 0.75, 0.75)
        assert (wrong.outcome, wrong.category, wrong.detail, wrong.reward) == ("failed", "wrong", "not right", 0.25)

    def test_none_leaves_the_verdicts_own_1_or_0(self, make: Any, isolation: str) -> None:
        assert judged(make(), "right", "wrong", isolation=isolation) == [passed(), failed("wrong", "not right")]

    def test_whole_numbers_at_the_bounds_count(self, make: Any, isolation: str) -> None:
        task = make("return 1 if answer == 'wrong' else 0")
        assert [each.score for each in judged(task, "right", "wrong", isolation=isolation)] == [0.0, 1.0]

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ("1.5", "gave 1.5, not a number from 0 to 1"),
            ("-0.1", "gave -0.1, not a number from 0 to 1"),
            ("float('nan')", "gave nan, not a number from 0 to 1"),
            ("float('inf')", "gave inf, not a number from 0 to 1"),
            ("10**400", "gave a number too large"),
            ("True", "gave a bool, not a number from 0 to 1 or None"),
            ("'0.5'", "gave a str, not a number from 0 to 1 or None"),
            ("[0.5]", "gave a list, not a number from 0 to 1 or None"),
            ("passed()", "gave a Verdict, not a number from 0 to 1 or None"),
        ],
    )
    def test_what_is_no_reward_is_an_abstention_blamed_on_rrr_reward(
        self, make: Any, isolation: str, given: str, says: str
    ) -> None:
        task = make(f"return {given} if answer == 'wrong' else 0.5")
        first, bad, last = judged(task, "right", "wrong", "right too", isolation=isolation)
        assert (first.score, last.score) == (0.5, 0.5)
        assert (bad.outcome, bad.category, bad.reward) == ("abstained", "bad reward", None)
        assert bad.detail.startswith(f"rrr-paid 1.0, hook rrr_reward: {says}")

    def test_an_exception_is_an_abstention_blamed_on_rrr_reward(self, make: Any, isolation: str) -> None:
        (bad,) = judged(make("return {}['partial']"), "right", isolation=isolation)
        assert (bad.outcome, bad.category) == ("abstained", "exception")
        assert bad.detail.startswith("rrr-paid 1.0, hook rrr_reward: KeyError at rrr_paid.py:")

    def test_a_verdict_that_was_withheld_gets_no_reward(self, make: Any, isolation: str) -> None:
        right, bad = judged(make("return 0.5"), "right", "broken", isolation=isolation)
        assert right.score == 0.5
        assert (bad.is_abstained, bad.score) == (True, None)
        assert "hook rrr_verify" in bad.detail

    def test_without_scores_rrr_reward_is_never_called(self, make: Any, isolation: str) -> None:
        task = make("raise SystemExit")
        assert judged(task, "right", isolation=isolation, scores=False) == [passed()]

    def test_numbers_of_other_types_count_as_floats(self, make: Any, isolation: str) -> None:
        task = make("from fractions import Fraction\nreturn Fraction(1, 4)")
        (verdict,) = judged(task, "right", isolation=isolation)
        assert (type(verdict.score), verdict.score) == (float, 0.25)


@needs_fork
class TestSandbox:
    @pytest.mark.parametrize(
        ("code", "kind", "says"),
        [
            ("import time; time.sleep(60)", "timeout", "no reward within 1 seconds"),
            ("while True: pass", "timeout", "no reward within 0.2 CPU seconds"),
            ("import os; os._exit(3)", "exit", "exited with status 3"),
            ("import os; os.kill(os.getpid(), 11)", "crash", "SIGSEGV"),
            ("bytearray(1 << 40)", "memory", "MemoryError"),
            ("import os; os.write(3, b'[1, \"passed\"]\\n')", "bad verdict", "said what it should not"),
        ],
    )
    def test_each_fault_is_rrr_rewards_and_the_others_are_paid(
        self, make: Any, code: str, kind: str, says: str
    ) -> None:
        task = make(f"if answer == 'right bad':\n    {code}\nreturn 0.5")
        first, bad, last = judged(task, "right", "right bad", "wrong", isolation="process", seconds=1, cpu_seconds=0.2)
        assert (first.reward, last.reward) == (0.5, 0.5)
        assert (bad.outcome, bad.category) == ("abstained", kind)
        assert bad.detail.startswith("rrr-paid 1.0, hook rrr_reward: ")
        assert says in bad.detail

    def test_a_worker_that_hostile_code_has_taken_over_cannot_change_the_verdict(self, make: Any) -> None:
        forge = "import rrr_core.verdicts as v\nobject.__setattr__(verdict, 'outcome', 'passed')\nreturn 0.5"
        (verdict,) = judged(make(forge), "wrong", isolation="process")
        assert (verdict.outcome, verdict.category, verdict.score) == ("failed", "wrong", 0.5)

    def test_a_large_batch_keeps_its_order(self, make: Any) -> None:
        task = make("return int(answer.split()[1]) / 1000")
        verdicts = judged(task, *(f"right {number}" for number in range(700)), isolation="process", workers=3)
        assert [verdict.score for verdict in verdicts] == [number / 1000 for number in range(700)]

    def test_what_a_reward_puts_off_until_its_first_call_is_done_before_the_first_answer(
        self, make: Any, site: FakeSite
    ) -> None:
        slow = (
            "import builtins, time\nif not hasattr(builtins, 'warm'):\n    time.sleep(1.2)\nbuiltins.warm = 1\nreturn 1"
        )
        examples = "\n@hookimpl\ndef rrr_examples():\n    from rrr_core import Example\n"
        examples += (
            "    yield Example({'n': 1}, 'right', 'passed')\n    yield Example({'n': 1}, 'x', 'failed', 'wrong')\n"
        )
        body = SOURCE.format(reward=slow.replace("\n", "\n    "), verify_mark="", reward_mark="")
        site.install_task("paid", body + examples)
        (verdict,) = judged(load_task("paid"), "right", isolation="process", seconds=1)
        assert verdict.score == 1.0


class TestTrust:
    @pytest.mark.parametrize(
        ("marks", "scores", "isolated"),
        [
            ((MARK, MARK), True, False),
            ((MARK, ""), False, False),
            ((MARK, ""), True, True),
            (("", MARK), True, True),
        ],
    )
    def test_rewards_come_from_the_cores_process_only_if_both_hooks_are_trusted(
        self, make: Any, marks: tuple[str, str], scores: bool, isolated: bool
    ) -> None:
        with Judge(make(marks=marks), scores=scores) as judge:
            assert judge.isolated == isolated

    def test_no_other_hook_can_be_trusted(self, site: FakeSite) -> None:
        site.install_task(
            "sums",
            extra="\n@hookimpl\n@trusted\ndef rrr_gold_answer(row): ...\n".replace(
                "@trusted", "@__import__('rrr_core').hookspecs.trusted"
            ),
        )
        with pytest.raises(PluginError, match="only rrr_verify, rrr_reward and rrr_step can be @trusted"):
            load_task("sums")


class TestOverlays:
    """A verdict from elsewhere has no score from the task's own verifier."""

    def install(self, site: FakeSite, name: str, source: str) -> None:
        site.install_overlay(name, f"from rrr_core import failed, hookimpl, passed\n{source}")

    @pytest.mark.parametrize(
        "decides",
        [
            "@hookimpl\ndef rrr_judge(pairs): return [passed() for _ in pairs]",
            "@hookimpl\ndef rrr_combine(votes): return votes['verifier']",
            "@hookimpl\ndef rrr_verify(row, answer): return passed()",
        ],
    )
    def test_an_overlay_that_decides_verdicts_hides_the_tasks_rewards(
        self, make: Any, site: FakeSite, decides: str
    ) -> None:
        self.install(site, "other", decides)
        task = make("return 0.25", overlays=["other"])
        assert not task.gives_rewards
        (verdict,) = judged(task, "right")
        assert (verdict.outcome, verdict.score, verdict.reward) == ("passed", None, 1.0)

    def test_an_overlay_that_judges_may_give_the_rewards_too(self, make: Any, site: FakeSite) -> None:
        self.install(
            site,
            "other",
            "@hookimpl\ndef rrr_judge(pairs): return [passed() for _ in pairs]\n"
            "@hookimpl\ndef rrr_reward(verdict): return 0.5 if verdict.is_passed else None\n",
        )
        task = make("return 0.25", overlays=["other"])
        assert task.gives_rewards
        assert [verdict.score for verdict in judged(task, "right", "wrong")] == [0.5, 0.5]

    def test_an_overlay_of_rewards_alone_is_stacked_on_any_task(self, site: FakeSite) -> None:
        site.install_task("sums")
        self.install(site, "brief", "@hookimpl\ndef rrr_reward(answer): return 1 / (1 + len(answer))")
        task = load_task("sums", ["brief"])
        assert task.gives_rewards
        with Judge(task, settings=VerifySettings(isolation="none"), scores=True) as judge:
            assert [each.reward for each in judge.judge([({"a": 1, "b": 1}, "2")])] == [0.5]

    def test_a_flipped_verdict_is_paid_as_it_reads_and_says_nothing_of_the_truth(self, make: Any) -> None:
        task = make("return 0.75 if answer.startswith('right') else 0.25", overlays=["noisy:probability=0.5"])
        answers = [f"{word} {number}" for word in ("right", "wrong") for number in range(40)]
        verdicts = judged(task, *answers)
        truth = [answer.startswith("right") for answer in answers]
        flipped = [each for each, right in zip(verdicts, truth, strict=True) if each.is_passed != right]
        kept = [(each, right) for each, right in zip(verdicts, truth, strict=True) if each.is_passed == right]
        assert {(each.outcome, each.score, each.reward) for each in flipped} == {
            ("passed", None, 1.0),
            ("failed", None, 0.0),
        }
        assert {(each.outcome, each.score) for each, _ in kept} == {("passed", 0.75), ("failed", 0.25)}


class TestLimits:
    def test_faults_of_rewards_count_towards_the_limit_on_withheld_verdicts(self, make: Any) -> None:
        with (
            Judge(make("return 2"), minimum=5, settings=VerifySettings(isolation="none"), scores=True) as judge,
            pytest.raises(TooManyAbstentions, match="most often .5×. bad reward: rrr-paid 1.0, hook rrr_reward"),
        ):
            judge.judge([({"n": 1}, "right")] * 10)

    def test_what_no_verifier_saw_gets_no_reward(self, make: Any) -> None:
        made = [Generation("", thought="hm", is_thinking=True), Generation("", missing="content filter")]
        with Judge(make("return 0.5"), 1, settings=VerifySettings(isolation="none"), scores=True) as judge:
            cut_off, missing = judge.judge_written([({"n": 1}, each) for each in made])
        assert (cut_off.category, cut_off.score, cut_off.reward) == ("cut off", None, 0.0)
        assert (missing.category, missing.score, missing.reward) == ("no answer", None, None)

    def test_a_verifier_that_puts_a_score_into_its_verdict_is_at_fault(self, site: FakeSite) -> None:
        body = "from rrr_core import Verdict, hookimpl\n@hookimpl\ndef rrr_load_dataset(split): return []\n"
        body += "@hookimpl\ndef rrr_prompt(row): return '?'\n"
        site.install_task("odd", body + "@hookimpl\ndef rrr_verify(row): return Verdict('passed', '', '', 0.5)\n")
        (verdict,) = judged(load_task("odd"), "x", scores=False)
        assert (verdict.category, verdict.score) == ("bad verdict", None)
        assert verdict.detail.endswith("gave a Verdict with a score: give the reward in rrr_reward")


class TestProtocol:
    def test_a_batch_without_verdicts_is_what_it_was(self) -> None:
        assert encode_batch([({"n": 1}, "x")], 7)[8:] == b'{"first":7,"rows":[{"n":1}],"items":[[0,"x"]]}'

    @pytest.mark.parametrize("score", ["1.5", "-0.1", "NaN", "true", '"0.5"', "1", "null"])
    def test_a_score_that_is_no_float_from_0_to_1_is_a_bad_reply(self, score: str) -> None:
        with pytest.raises(BadReply):
            checked_reply(f'[7, "passed", "", "", {score}]'.encode(), 7, may_score=True)

    def test_a_score_that_nobody_asked_for_is_a_bad_reply(self) -> None:
        with pytest.raises(BadReply):
            checked_reply(b'[7, "passed", "", "", 0.5]', 7)
