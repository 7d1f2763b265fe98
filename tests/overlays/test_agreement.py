"""`agreement`: k of n votes make a pass, and a withheld vote counts for neither side."""

import itertools

import pytest

from rrr_core import failed, passed, withheld
from rrr_core.overlays.agreement import AgreementOptions, combined, decided
from rrr_core.tasks import load_task
from rrr_core.verification import Judge

ROW = {"a": 2, "b": 3}
VOTES = {"+": passed(), "-": failed("wrong"), "?": withheld("hm")}


def votes(marks: str) -> dict:
    """`++-` as the votes of three judges; the last is the verifier."""
    names = [f"judge {place}" for place in range(len(marks) - 1)] + ["verifier"]
    return dict(zip(names, (VOTES[mark] for mark in marks), strict=True))


class TestVotes:
    @pytest.mark.parametrize(
        ("marks", "need", "outcome"),
        [
            ("+-", 1, "passed"),
            ("--", 1, "failed"),
            ("?-", 1, "abstained"),
            ("?+", 1, "passed"),
            ("++", 2, "passed"),
            ("+-", 2, "failed"),
            ("+?", 2, "abstained"),
            ("-?", 2, "failed"),
            ("+?-", 2, "abstained"),
            ("+?+", 2, "passed"),
            ("++-", 3, "failed"),
        ],
    )
    def test_a_pass_needs_enough_votes_and_what_could_tip_it_withholds_it(self, marks, need, outcome):
        assert combined(votes(marks), AgreementOptions(need)).outcome == outcome

    @pytest.mark.parametrize("need", [1, 2, 3])
    @pytest.mark.parametrize("marks", ["".join(marks) for marks in itertools.product("+-?", repeat=3)])
    def test_it_is_withheld_exactly_where_the_withheld_votes_could_decide_either_way(self, marks, need):
        ways = itertools.product("+-", repeat=marks.count("?"))
        outcomes = set()
        for way in ways:
            decided_votes = iter(way)
            settled = [VOTES[next(decided_votes) if mark == "?" else mark].outcome for mark in marks]
            outcomes.add(decided(settled, need))
        expected = outcomes.pop() if len(outcomes) == 1 else "abstained"
        assert decided([VOTES[mark].outcome for mark in marks], need) == expected

    def test_the_verifiers_vote_can_be_left_out(self):
        options = AgreementOptions(need=2, verifier=False)
        assert combined(votes("++-"), options).is_passed
        assert combined(votes("+-+"), options).is_failed

    def test_too_few_votes_withhold_the_verdict_and_say_so(self):
        verdict = combined(votes("+"), AgreementOptions(need=2))
        assert verdict == withheld("the overlay 'agreement' needs 2 votes and got 1: stack more judges")

    def test_a_failed_verdict_lists_the_votes_and_has_the_class_of_the_last_against(self):
        cast = {"strict": failed("unclear"), "kind": passed(), "verifier": failed("wrong sum")}
        assert combined(cast, AgreementOptions(2)) == failed(
            "wrong sum", "2 of 3 needed: strict failed, kind passed, verifier failed"
        )

    def test_a_withheld_verdict_says_why_each_vote_was_withheld(self):
        verdict = combined({"kind": withheld("no reply"), "verifier": passed()}, AgreementOptions(2))
        assert verdict == withheld("2 of 2 needed: kind abstained (no reply), verifier passed")


def judge_of(name: str, liked: str) -> str:
    return (
        "from rrr_core import failed, hookimpl, passed\n@hookimpl\ndef rrr_judge(pairs):\n"
        f"    return [passed() if answer in {liked!r} else failed('not liked by {name}') for _, answer in pairs]\n"
    )


@pytest.fixture
def stack(site):
    """The outcomes of the answers 4, 5 and 6: 5 is right, one judge likes 4 and 5, another 5 and 6."""
    site.install_task("sums")
    site.install_overlay("low", judge_of("low", "45"))
    site.install_overlay("high", judge_of("high", "56"))

    def outcomes(*overlays: str) -> list[str]:
        with Judge(load_task("sums", overlays)) as judge:
            return [verdict.outcome for verdict in judge.judge([(ROW, answer) for answer in "456"])]

    return outcomes


@pytest.mark.parametrize(
    ("options", "outcomes"),
    [
        ("need=1", ["passed", "passed", "passed"]),
        ("need=2", ["failed", "passed", "failed"]),
        ("need=1,verifier=no", ["passed", "passed", "passed"]),
        ("need=2,verifier=no", ["failed", "passed", "failed"]),
        ("need=3", ["failed", "passed", "failed"]),
    ],
)
def test_all_judges_of_the_stack_vote_wherever_the_overlay_is_in_it(stack, options, outcomes):
    assert stack("low", "high", f"agreement:{options}") == outcomes
    assert stack(f"agreement:{options}", "low", "high") == outcomes


def test_without_a_judge_one_vote_is_the_verifiers(stack):
    assert stack("agreement:need=1") == ["failed", "passed", "failed"]
