"""`noisy` flips verdicts at the requested rate, the same ones every time, and never an abstention."""

import json
import subprocess
import sys

import pytest

from rrr_core import Manifest, failed, passed
from rrr_core.errors import RrrError
from rrr_core.overlays.noisy import CATEGORY, NoisyOptions, draw, with_noise
from rrr_core.tasks import load_task
from rrr_core.verdicts import Verdict, abstained
from rrr_core.verification import Judge, VerifySettings

ROW = {"a": 2, "b": 3}
PAIRS = 4000
FIVE_SIGMA = 5 * (0.25 / PAIRS) ** 0.5
"""Deviation of a share of that many coins that is exceeded less than once in a million runs, whatever the coin."""


def flipped(verdict: Verdict, answer: str = "5", row=ROW, **options) -> bool:
    return with_noise(verdict, row, answer, NoisyOptions(**options)).outcome != verdict.outcome


def share(verdict: Verdict, **options) -> float:
    return sum(flipped(verdict, str(number), **options) for number in range(PAIRS)) / PAIRS


def outcomes(site, request: str, verify: str | None = None, isolation: str = "auto") -> list[str]:
    """The outcomes of twenty answers to one row; `5` is right."""
    site.install_task("sums") if verify is None else site.install_task("sums", verify)
    with Judge(load_task("sums", [request]), settings=VerifySettings(isolation=isolation)) as judge:
        return [verdict.outcome for verdict in judge.judge([(ROW, str(number)) for number in range(20)])]


class TestFlips:
    @pytest.mark.parametrize("probability", [0.05, 0.3, 0.9])
    @pytest.mark.parametrize("verdict", [passed(), failed("wrong sum")])
    def test_the_share_is_the_probability(self, verdict, probability):
        assert share(verdict, probability=probability) == pytest.approx(probability, abs=FIVE_SIGMA)

    @pytest.mark.parametrize("verdict", [passed(), failed("wrong sum")])
    def test_at_0_nothing_is_flipped_and_at_1_everything(self, verdict):
        assert share(verdict, probability=0.0) == 0
        assert share(verdict, probability=1.0) == 1

    def test_the_two_directions_may_have_probabilities_of_their_own(self):
        assert share(passed(), probability=0.5, false_fail=0.0) == 0
        assert share(failed("x"), probability=0.5, false_pass=1.0) == 1
        assert share(failed("x"), probability=0.5, false_fail=0.0) == pytest.approx(0.5, abs=FIVE_SIGMA)

    def test_an_abstention_is_never_flipped(self):
        assert share(abstained("timeout", "slow"), probability=1.0) == 0

    def test_a_row_has_the_same_flips_however_its_keys_are_ordered(self):
        assert draw(0, {"a": 1, "b": 2}, "3") == draw(0, {"b": 2, "a": 1}, "3")

    @pytest.mark.parametrize("other", [(1, ROW, "5"), (0, {"a": 2, "b": 4}, "5"), (0, ROW, "5 ")])
    def test_seed_row_and_answer_each_decide_the_draw(self, other):
        assert draw(0, ROW, "5") != draw(*other)

    def test_an_answer_of_lone_surrogates_is_drawn_for_like_any_other(self):
        assert 0 <= draw(0, ROW, "\ud800") < 1

    def test_the_flips_at_a_low_probability_are_among_those_at_a_higher_one(self):
        low, high = (
            {number for number in range(300) if flipped(passed(), str(number), probability=probability)}
            for probability in (0.1, 0.4)
        )
        assert low < high


class TestWhatAFlippedVerdictSays:
    def test_a_right_answer_that_was_made_to_fail_has_a_class_of_its_own(self):
        assert with_noise(passed(), ROW, "5", NoisyOptions(1.0)) == failed(CATEGORY, "noisy: flipped from passed")

    def test_a_wrong_answer_that_was_made_to_pass_says_what_it_was(self):
        verdict = with_noise(failed("wrong sum", "6"), ROW, "6", NoisyOptions(1.0))
        assert verdict == Verdict("passed", detail="noisy: flipped from failed (wrong sum)")


class TestStacked:
    RIGHT = ["passed" if number == 5 else "failed" for number in range(20)]
    WRONG = ["failed" if number == 5 else "passed" for number in range(20)]

    def test_without_noise_it_changes_nothing(self, site):
        assert outcomes(site, "noisy:probability=0") == self.RIGHT

    def test_the_verifiers_verdicts_are_flipped(self, site):
        assert outcomes(site, "noisy:probability=1") == self.WRONG

    def test_they_are_flipped_alike_in_the_sandbox_and_in_another_process(self, site):
        request = "noisy:probability=0.5,seed=3"
        here = outcomes(site, request, isolation="none")
        with Judge(load_task("sums", [request]), settings=VerifySettings(isolation="process")) as judge:
            assert [each.outcome for each in judge.judge([(ROW, str(number)) for number in range(20)])] == here
        code = (
            "import json, sys; from rrr_core.overlays.noisy import draw;"
            f"print(json.dumps([draw(3, {ROW!r}, str(number)) < 0.5 for number in range(20)]))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        flips = json.loads(done.stdout)
        assert [one != other for one, other in zip(here, self.RIGHT, strict=True)] == flips
        assert 0 < sum(flips) < 20

    def test_a_trusted_verifier_stays_trusted(self, site):
        site.install_task(
            "sums",
            extra="""
            from rrr_core import trusted
            trusted(rrr_verify)
            """,
        )
        assert load_task("sums", ["noisy"]).trusted

    def test_a_fault_of_the_verifier_stays_a_fault(self, site):
        source = """
            from rrr_core import hookimpl

            @hookimpl
            def rrr_load_dataset(): return []

            @hookimpl
            def rrr_prompt(): return "?"

            @hookimpl
            def rrr_verify(): raise ValueError("of the verifier")
        """
        site.install_task("sums", source)
        verdict = load_task("sums", ["noisy:probability=1"]).verify(ROW, "5")
        assert (verdict.outcome, verdict.category) == ("abstained", "exception")
        assert "rrr-sums 1.0" in verdict.detail

    JUDGE = """
        from rrr_core import failed, hookimpl, passed, withheld

        @hookimpl
        def rrr_judge(pairs):
            sayings = {"4": passed(), "5": failed("not liked"), "6": withheld("hm")}
            return [sayings.get(answer) for _, answer in pairs]
    """

    def test_a_judges_verdicts_are_flipped_once_each_and_so_are_those_it_leaves_open(self, site):
        site.install_task("sums")
        site.install_overlay("moody", self.JUDGE)
        with Judge(load_task("sums", ["moody", "noisy:probability=1"]), max_abstain=1) as judge:
            verdicts = judge.judge([(ROW, answer) for answer in ("4", "5", "6", "7")])
        assert [verdict.outcome for verdict in verdicts] == ["failed", "passed", "abstained", "passed"]

    def test_a_judge_that_breaks_the_contract_is_not_blamed_on_the_noise(self, site):
        site.install_task("sums")
        site.install_overlay(
            "short", "from rrr_core import hookimpl, passed\n@hookimpl\ndef rrr_judge(): return [passed()]"
        )
        with Judge(load_task("sums", ["short", "noisy"]), max_abstain=1) as judge:
            verdict, _ = judge.judge([(ROW, "4"), (ROW, "5")])
        assert verdict.category == "bad verdict"
        assert verdict.detail.endswith("hook rrr_judge: gave 1 verdicts for 2 answers")

    def test_the_manifest_names_the_class_of_flipped_verdicts(self, site):
        site.install_task(
            "sums",
            extra="""
            from rrr_core import Manifest

            @hookimpl
            def rrr_manifest(): return Manifest(categories=("wrong sum",))
            """,
        )
        assert load_task("sums", ["noisy"]).manifest() == Manifest(categories=("wrong sum", CATEGORY))

    def test_a_task_without_a_manifest_has_none_with_noise_either(self, site):
        site.install_task("sums")
        assert load_task("sums", ["noisy"]).manifest() is None

    def test_a_probability_that_is_none_is_refused(self, site):
        site.install_task("sums")
        with pytest.raises(RrrError, match=r"The overlay 'noisy', option probability: must be at most 1, not 2\."):
            load_task("sums", ["noisy:probability=2"])
