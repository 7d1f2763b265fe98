"""Figures corrected for known noise recover what a verifier without noise finds on the same answers."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from rrr_core.errors import RrrError
from rrr_core.evaluation import EvalSettings
from rrr_core.evaluation.known_noise import KnownNoise, corrected_end, corrected_gain, corrected_share, corrections
from rrr_core.evaluation.statistics import paired_difference, wilson

RATES = pytest.mark.parametrize(
    ("false_pass", "false_fail"), [(0.1, 0.0), (0.0, 0.2), (0.15, 0.05), (0.05, 0.3), (0.1, 0.1)]
)
ROWS = 600


def judged(is_right: bool, noise: KnownNoise, draw: random.Random) -> bool:
    return draw.random() >= noise.false_fail if is_right else draw.random() < noise.false_pass


def world(
    noise: KnownNoise, seed: int, *, first: float = 0.35, fixes: float = 0.4, breaks: float = 0.3
) -> Counter[str]:
    """Rows whose verdicts are noisy: those that failed get a retry and a control's. Counts of passes and of truths."""
    draw, counted = random.Random(seed), Counter[str]()
    for _ in range(ROWS):
        right = draw.random() < first
        passed = judged(right, noise, draw)
        counted.update(passed=passed, right=right)
        ends = {}
        for name, fix in (("own", fixes), ("none", fixes / 2)):
            again = draw.random() < (1 - breaks if right else fix)
            again_passed = judged(again, noise, draw)
            ends[name] = passed or again_passed
            counted[f"{name} passed"] += ends[name]
            counted[f"{name} right"] += right if passed else again
            if not passed and name == "own":
                counted.update(retried=1, retries_passed=again_passed, retries_right=again)
        counted[f"{ends['own']:d}{ends['none']:d}"] += 1
    return counted


def covers(found: object, truth: float) -> bool:
    return found.low <= truth <= found.high  # type: ignore[attr-defined]


@RATES
def test_corrected_figures_recover_the_clean_ones_of_the_same_answers(false_pass: float, false_fail: float) -> None:
    noise, hits, worlds = KnownNoise(false_pass, false_fail), Counter[str](), 100
    for seed in range(worlds):
        made = world(noise, seed)
        passed, ends = made["passed"], {name: wilson(made[f"{name} passed"], ROWS) for name in ("own", "none")}
        retries = wilson(made["retries_passed"], made["retried"])
        gain = paired_difference(made["11"], made["01"], made["10"], made["00"])
        hits.update(
            first=covers(corrected_share(wilson(passed, ROWS), noise), made["right"] / ROWS),
            retries=covers(corrected_share(retries, noise), made["retries_right"] / made["retried"]),
            own=covers(corrected_end(passed, ends["own"], noise), made["own right"] / ROWS),
            none=covers(corrected_end(passed, ends["none"], noise), made["none right"] / ROWS),
            gain=covers(corrected_gain(gain, noise), (made["own right"] - made["none right"]) / ROWS),
        )
    # The truth varies with the rows, too, so an interval of 95% holds it more often than that.
    assert {name: count / worlds >= 0.92 for name, count in hits.items()} == dict.fromkeys(hits, True)


@RATES
def test_the_intervals_hold_the_models_own_probabilities_as_often_as_they_say(
    false_pass: float, false_fail: float
) -> None:
    noise, worlds, first, fixes, breaks = KnownNoise(false_pass, false_fail), 250, 0.35, 0.4, 0.3
    stays, retried_right = first * (1 - false_fail), first * false_fail
    retried_wrong = (1 - first) * (1 - false_pass)
    truth = stays + retried_right * (1 - breaks) + retried_wrong * fixes
    held = sum(
        covers(corrected_end(made["passed"], wilson(made["own passed"], ROWS), noise), truth)
        for made in (world(noise, seed, first=first, fixes=fixes, breaks=breaks) for seed in range(worlds))
    )
    # Three standard errors of a coverage of 95% over that many worlds.
    assert held / worlds == pytest.approx(0.95, abs=0.042)


def test_rogan_and_gladens_formula_alone_would_be_wrong_for_a_second_try() -> None:
    # Every answer is wrong; a tenth of the first tries and a tenth of the retries pass all the same.
    noise, passed_at_first, end = KnownNoise(false_pass=0.1), 1000, wilson(1900, 10_000)
    assert corrected_end(passed_at_first, end, noise).value == pytest.approx(0)
    assert corrected_share(end, noise).value == pytest.approx(0.1)


def test_without_noise_nothing_changes() -> None:
    noise, share = KnownNoise(), wilson(30, 100)
    for found in (corrected_share(share, noise), corrected_end(20, share, noise)):
        assert (found.value, found.low, found.high) == pytest.approx((share.value, share.low, share.high))


def test_a_correction_stays_between_nothing_and_all() -> None:
    assert corrected_share(wilson(0, 50), KnownNoise(false_pass=0.2)).value == 0
    assert corrected_share(wilson(50, 50), KnownNoise(false_fail=0.2)).high == 1
    assert corrected_gain(paired_difference(0, 0, 9, 1), KnownNoise(0.3, 0.3)).high == 1


@pytest.mark.parametrize(("false_pass", "false_fail"), [(0.5, 0.5), (0.9, 0.2), (1.0, 0.0)])
def test_rates_at_which_verdicts_say_nothing_are_refused(false_pass: float, false_fail: float) -> None:
    with pytest.raises(RrrError, match=r"--known-false-pass .* --known-false-fail .* must stay below 1"):
        KnownNoise(false_pass, false_fail)
    with pytest.raises(RrrError, match="must stay below 1"):
        EvalSettings(known_false_pass=false_pass, known_false_fail=false_fail)


def test_figures_that_were_not_measured_are_not_corrected() -> None:
    shares = {"first_try": wilson(1, 4), "second_try": wilson(2, 4), "no_reflection": None}
    found = corrections(shares, {"reflection_vs_no_reflection": None}, KnownNoise(0.1))
    assert list(found["shares"]) == ["first_try", "second_try"]
    assert found["gains"] == {}
    assert (found["known_false_pass"], found["known_false_fail"]) == (0.1, 0.0)
