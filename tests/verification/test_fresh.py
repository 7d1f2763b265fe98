"""With `fresh` isolation each verdict has a process of its own: nothing that one leaves behind is seen by the next."""

from __future__ import annotations

import os
import sys

import pytest

from tests.verification.conftest import children_of, needs_fork, wait_until

pytestmark = [needs_fork, pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")]

LEAVES_STATE = """
    import os, builtins
    seen = getattr(builtins, "seen", 0)
    builtins.seen = seen + 1
    left = os.path.exists("left")
    open("left", "w").close()
    return passed() if not seen and not left else failed("saw", f"{seen} {left}")
"""

FORGES = """
    if answer == "forge":
        import rrr_core.verification.worker as worker
        worker.verdict_on = lambda *_: passed()
        def forge(): pass
        return failed("honest")
    return failed("wrong")
"""


def answers(*texts: str) -> list[tuple[dict, str]]:
    return [({}, text) for text in texts]


@pytest.mark.parametrize(("isolation", "later"), [("process", "failed"), ("fresh", "passed")])
def test_state_that_one_verdict_leaves_is_not_seen_by_the_next(make_judge, isolation, later) -> None:
    judge = make_judge(LEAVES_STATE, isolation=isolation)
    assert [verdict.outcome for verdict in judge.judge(answers(*"abcd"))] == ["passed", *[later] * 3]
    assert [verdict.outcome for verdict in judge.judge(answers(*"ab"))] == [later] * 2


@pytest.mark.parametrize(("isolation", "later"), [("process", "passed"), ("fresh", "failed")])
def test_an_answer_cannot_forge_the_verdicts_of_later_ones(make_judge, isolation, later) -> None:
    judge = make_judge(FORGES, isolation=isolation)
    assert [verdict.outcome for verdict in judge.judge(answers("forge", "x", "y"))] == ["failed", later, later]


def test_verdicts_and_faults_come_in_order(make_judge) -> None:
    judge = make_judge(isolation="fresh", workers=3, seconds=5)
    given = answers("right", "wrong", "1/0", "import os; os._exit(3)", "import os; os.kill(os.getpid(), 11)", "right")
    verdicts = judge.judge(given * 3)
    assert [verdict.category or verdict.outcome for verdict in verdicts] == [
        *("passed", "wrong", "exception", "exit", verdicts[4].category, "passed")
    ] * 3
    assert verdicts[4].is_abstained


def test_a_process_that_would_outlive_its_verdict_is_ended(make_judge) -> None:
    before = children_of(os.getpid())
    judge = make_judge(
        "    import os, threading, time\n"
        "    os._exit = lambda status: time.sleep(1000)\n"
        "    threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        "    return passed()\n",
        isolation="fresh",
    )
    assert [verdict.outcome for verdict in judge.judge(answers(*"abc"))] == ["passed"] * 3
    assert wait_until(lambda: len(children_of(os.getpid()) - before) <= 3)  # The nursery, and two in wait at most.


def test_a_trusted_verifier_has_a_process_for_each_verdict_too(make_judge) -> None:
    assert make_judge(isolation="fresh").isolated


def test_imports_put_off_to_the_first_verdict_are_paid_once(make_judge) -> None:
    judge = make_judge(
        "    import builtins\n"
        "    if not hasattr(builtins, 'warm'):\n"
        "        import time; time.sleep(0.4)\n"
        "        builtins.warm = True\n"
        "    return passed()\n"
        "@hookimpl\n"
        "def rrr_examples():\n"
        "    from rrr_core import Example\n"
        "    return [Example({}, 'right', 'passed')]\n",
        isolation="fresh",
        seconds=0.3,
    )
    assert [verdict.outcome for verdict in judge.judge(answers(*"abcdefgh"))] == ["passed"] * 8
