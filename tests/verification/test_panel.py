"""People and models as judges: who judges what, how votes are combined, and what a faulty judge causes."""

from __future__ import annotations

import os

import pytest

from rrr_core.errors import ModelError, TooManyAbstentions
from rrr_core.tasks import load_task
from rrr_core.verification import Judge, VerifySettings

ROW = {"a": 1, "b": 2}
HERE = VerifySettings(isolation="none")
HEAD = "from rrr_core import failed, hookimpl, passed, withheld\nfrom rrr_core.errors import ModelError\n"


@pytest.fixture
def sums(site):
    site.install_task("sums")
    return site


def install_judge(site, name, body):
    """An overlay with this body of `rrr_judge`."""
    site.install_overlay(name, f"{HEAD}@hookimpl\ndef rrr_judge(pairs):\n    {body}\n")


def judged(overlays, answers, **limits):
    with Judge(load_task("sums", overlays), settings=HERE, **limits) as judge:
        return judge.judge([(ROW, answer) for answer in answers])


def said(verdicts):
    return [verdict.category or verdict.outcome for verdict in verdicts]


def test_a_judges_verdict_counts_instead_of_the_verifiers(sums):
    install_judge(sums, "kind", "return [passed() for _ in pairs]")
    assert said(judged(["kind"], ["3", "4"])) == ["passed", "passed"]


def test_what_a_judge_leaves_open_is_the_verifiers_in_order(sums):
    install_judge(sums, "picky", "return [failed('long') if len(answer) > 1 else None for _, answer in pairs]")
    assert said(judged(["picky"], ["3", "33", "4", "44", "3"])) == ["passed", "long", "wrong sum", "long", "passed"]


def test_a_judge_that_gives_none_leaves_all_to_the_verifier(sums):
    install_judge(sums, "absent", "return None")
    assert said(judged(["absent"], ["3", "4"])) == ["passed", "wrong sum"]


def test_the_last_overlay_is_asked_first_and_the_next_for_what_it_left(sums):
    install_judge(sums, "first", "return [failed('by first') for _ in pairs]")
    install_judge(sums, "last", "return [failed('by last') if answer == '4' else None for _, answer in pairs]")
    assert said(judged(["first", "last"], ["3", "4"])) == ["by first", "by last"]


def test_a_judge_may_withhold(sums):
    install_judge(sums, "unsure", "return [withheld('hard to read') for _ in pairs]")
    (verdict,) = judged(["unsure"], ["3"], max_abstain=1)
    assert (verdict.outcome, verdict.category, verdict.reward) == ("abstained", "withheld", None)


def test_what_is_withheld_counts_for_the_limit(sums):
    install_judge(sums, "unsure", "return [withheld('hard to read') for _ in pairs]")
    with pytest.raises(TooManyAbstentions, match="withheld: hard to read"):
        judged(["unsure"], ["3"] * 100)


def test_a_verifier_must_not_withhold(sums):
    sums.install_overlay("shy", f"{HEAD}@hookimpl\ndef rrr_verify(): return withheld('hard')")
    (verdict,) = judged(["shy"], ["3"], max_abstain=1)
    assert verdict.category == "bad verdict"


FAULTS = {
    "exception": ("return [1 / 0]", "ZeroDivisionError at rrr_odd.py:5"),
    "timeout": ("raise TimeoutError('late')", "TimeoutError"),
    "exit": ("raise SystemExit(3)", "SystemExit"),
    "bad verdict": ("return [True for _ in pairs]", "not a Verdict"),
    "bad verdict of another number": ("return []", "gave 0 verdicts for 2 answers"),
    "bad verdict of another type": ("return 5", "gave an int, not a list of verdicts"),
    "bad verdict that abstains": (
        "from rrr_core.verdicts import abstained; return [abstained('crash', '')] * 2",
        "outcome 'abstained'",
    ),
}


@pytest.mark.parametrize(("kind", "body", "reason"), [(kind, *fault) for kind, fault in FAULTS.items()], ids=FAULTS)
def test_a_judge_at_fault_withholds_its_batch_and_is_named(sums, kind, body, reason):
    install_judge(sums, "odd", body)
    verdicts = judged(["odd"], ["3", "4"], max_abstain=1)
    assert [verdict.outcome for verdict in verdicts] == ["abstained", "abstained"]
    assert kind.startswith(verdicts[0].category)
    assert "rrr-odd 2.0, hook rrr_judge" in verdicts[0].detail
    assert reason in verdicts[0].detail


def test_what_the_user_can_fix_stops_the_job(sums):
    install_judge(sums, "down", "raise ModelError('The server is down.')")
    with pytest.raises(ModelError, match=r"^The server is down\.$"):
        judged(["down"], ["3"])


def test_the_users_interrupt_passes_through(sums):
    install_judge(sums, "slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        judged(["slow"], ["3"])


def test_a_judge_gets_rows_of_its_own(sums):
    install_judge(sums, "greedy", "return [row.clear() for row, _ in pairs]")
    assert said(judged(["greedy"], ["3"])) == ["passed"]


def test_a_wrapper_sees_what_a_judge_said_and_may_change_it(sums):
    install_judge(sums, "kind", "return [passed() for _ in pairs]")
    sums.install_overlay(
        "contrary",
        f"{HEAD}@hookimpl(wrapper=True)\ndef rrr_judge():\n    given = yield\n    return [failed('no') for _ in given]",
    )
    assert said(judged(["kind", "contrary"], ["3"])) == ["no"]


MAJORITY = f"""{HEAD}
@hookimpl
def rrr_combine(votes):
    counted = ", ".join(f"{{name}} {{vote.outcome}}" for name, vote in votes.items())
    return failed("votes", counted)
"""


def test_votes_are_those_of_every_judge_in_the_order_asked_and_of_the_verifier(sums):
    install_judge(sums, "kind", "return [passed() for _ in pairs]")
    install_judge(sums, "unsure", "return [withheld() if answer == '4' else None for _, answer in pairs]")
    sums.install_overlay("majority", MAJORITY)
    verdicts = judged(["kind", "unsure", "majority"], ["3", "4"])
    assert [verdict.detail for verdict in verdicts] == [
        "kind passed, verifier passed",
        "unsure abstained, kind passed, verifier failed",
    ]


def test_votes_can_be_combined_without_a_judge(sums):
    sums.install_overlay("majority", MAJORITY)
    assert [verdict.detail for verdict in judged(["majority"], ["3"])] == ["verifier passed"]


def test_a_fault_in_combining_withholds_the_one_verdict(sums):
    sums.install_overlay(
        "odd", f"{HEAD}@hookimpl\ndef rrr_combine(answer, votes): return votes['verifier'] if answer == '3' else 1 / 0"
    )
    assert said(judged(["odd"], ["3", "4"], max_abstain=1)) == ["passed", "exception"]


def test_a_combined_verdict_must_be_one(sums):
    sums.install_overlay("odd", f"{HEAD}@hookimpl\ndef rrr_combine(votes): return None")
    assert said(judged(["odd"], ["3"], max_abstain=1)) == ["bad verdict"]


def test_judges_stay_in_the_cores_process_where_the_verifier_is_sandboxed(sums):
    install_judge(
        sums, "here", "import os; return [failed(str(os.getpid())) if answer == '4' else None for _, answer in pairs]"
    )
    task = load_task("sums", ["here"])
    with Judge(task, settings=VerifySettings(isolation="process", workers=1)) as judge:
        verdicts = judge.judge([(ROW, "3"), (ROW, "4")])
    assert said(verdicts) == ["passed", str(os.getpid())]
