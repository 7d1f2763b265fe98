"""The forecast of a probe, figure by figure: what decides it, in which order, and what it says to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrr_core.probing.findings import Estimate, Findings
from rrr_core.probing.forecast import Forecast, forecast_of


def sure(value: float, around: float = 0.02, count: int = 64) -> Estimate:
    return Estimate(value, value - around, value + around, count)


LEARNS = Findings(
    rows=64,
    tries=8,
    failures=60,
    group_size=8,
    batch_groups=32,
    first_try=sure(0.2),
    reached=sure(0.6),
    categories={"wrong": 300},
    formless=None,
    cut_off={"first try": sure(0.02)},
    withheld=0,
    distinct=0.9,
    plain=sure(0.2),
    others=sure(0.25),
    own=sure(0.3),
    picked=sure(0.5),
    gold=sure(0.8),
    written=None,
    own_over_none=sure(0.1),
    own_over_others=sure(0.05),
    picked_over_own=sure(0.2, 0.1),
    picked_over_none=sure(0.3, 0.1),
    gold_over_none=sure(0.6),
    written_over_none=None,
    signal=sure(0.5),
    signal_in_a_step=sure(16.0, 2.0),
    groups_needed=13,
)


def forecast(can_warm_up: bool = True, **changes: object) -> Forecast:
    return forecast_of(replace(LEARNS, **changes), can_warm_up)  # type: ignore[arg-type]


def silent(signal: float = 0.01) -> dict[str, object]:
    return {"signal": sure(signal, 0.01), "signal_in_a_step": sure(signal * 32, 0.3)}


def test_reflections_that_differ_in_worth_and_groups_that_show_it_are_learned_from() -> None:
    found = forecast()
    assert found.outlook == "will learn"
    (reason,) = found.reasons
    assert reason == (
        "Some reflections help more than others on the same failure: one that has worked works again +20 points"
        " [10, 30] more often than any, and 16 of a step's 32 groups show it."
    )
    assert found.headroom == LEARNS.picked_over_own
    assert found.rows_needed is None


def test_a_gain_that_may_be_little_is_said_to_be() -> None:
    assert len(forecast(picked_over_own=sure(0.21, 0.1)).reasons) == 1
    found = forecast(picked_over_own=sure(0.11, 0.09))
    assert found.outlook == "will learn"
    assert "may be less than 10 points, from which training may gain nothing: --rows " in found.reasons[1]
    assert "--rows 100000 " in forecast(picked_over_own=sure(0.1, 0.05)).reasons[1]


def test_one_that_has_worked_must_be_better_than_none() -> None:
    found = forecast(picked_over_none=sure(0.1, 0.2))
    assert found.outlook == "cannot be said"
    assert found.rows_needed == 307
    # It may turn out to be above 0, or below 10 points: the nearer of the two says how many rows.
    assert forecast(picked_over_none=sure(0.01, 0.13)).rows_needed == 160
    assert forecast(picked_over_none=sure(0.09, 0.13)).rows_needed == 160
    assert found.reasons[0].endswith(
        "more often than any, but maybe no better than a retry without one (+10 points [-10, 30])."
    )
    found = forecast(picked_over_none=sure(0.04, 0.03))
    assert found.outlook == "warm up first"
    assert "one that has worked adds +4 points [1, 7] to a retry without one: warm it up" in found.reasons[0]
    assert forecast(picked_over_own=sure(0.1, 0.2), picked_over_none=sure(0.0, 0.05)).outlook == "warm up first"
    assert forecast(picked_over_none=sure(0.0, 0.05), can_warm_up=False).outlook == "will not"
    assert forecast(picked_over_none=None).outlook == "will learn"


def test_nothing_fails_so_there_is_nothing_to_learn() -> None:
    found = forecast(failures=0, first_try=sure(1.0))
    assert found.outlook == "will not"
    assert "Take harder rows" in found.reasons[0]


def test_retries_that_nearly_all_pass_leave_nothing_to_learn() -> None:
    found = forecast(**silent(), own=sure(0.97))
    assert found.outlook == "will not"
    assert "nearly all pass" in found.reasons[0]


def test_retries_that_nearly_all_fail_ask_for_a_warm_up_where_the_task_has_one() -> None:
    assert forecast(**silent(), own=sure(0.02)).outlook == "warm up first"
    found = forecast(**silent(), own=sure(0.02), can_warm_up=False)
    assert found.outlook == "will not"
    assert "no conversations to warm it up with, or take easier rows" in found.reasons[0]


@pytest.mark.parametrize(("gold", "words"), [(0.4, "though retries use what they read"), (0.0, "do not use what")])
def test_reflections_that_make_no_difference_ask_for_a_warm_up(gold: float, words: str) -> None:
    found = forecast(picked_over_own=sure(0.01), gold_over_none=sure(gold, 0.1))
    assert found.outlook == "warm up first"
    assert words in found.reasons[0]


@pytest.mark.parametrize(
    ("kind", "option"),
    [("first try", "--max-tokens"), ("reflection", "--max-reflection-tokens"), ("retry", "--max-retry-tokens")],
)
def test_texts_that_are_cut_off_come_before_all_else(kind: str, option: str) -> None:
    found = forecast(cut_off={kind: sure(0.9)}, failures=0)
    assert found.outlook == "will not"
    assert found.reasons[0].endswith(f"raise {option}.")


def test_too_few_rows_to_say_say_how_many_may_do() -> None:
    found = forecast(picked_over_own=sure(0.1, 0.2))
    assert found.outlook == "cannot be said"
    assert found.rows_needed == 307  # 64 rows × (20 / 10)², and a fifth for luck
    assert forecast(picked_over_own=sure(0.0, 0.2)).rows_needed == 307  # or to be surely below 10 points


def test_a_signal_that_may_be_missing_in_a_step_cannot_be_said_either() -> None:
    found = forecast(signal=sure(0.2, 0.19), signal_in_a_step=sure(6.4, 6.1))
    assert found.outlook == "cannot be said"
    assert found.rows_needed is not None
    assert found.rows_needed >= 128


def test_no_retry_that_passes_cannot_be_said() -> None:
    assert forecast(picked_over_own=None).outlook == "cannot be said"


def test_what_else_matters_stands_beside_the_reason() -> None:
    found = forecast(
        formless=sure(0.8),
        own_over_none=sure(-0.2),
        own_over_others=sure(-0.1),
        distinct=0.2,
        groups_needed=40,
        withheld=3,
    )
    assert found.outlook == "will learn"
    notes = " ".join(found.reasons[1:])
    for part in (
        "80% [78%, 82%] of failed tries have no answer in the task's form (wrong)",
        "worse than a retry without one so far (-20 points [-22, -18])",
        "worse than another row's so far",
        "Only 20% of the reflections",
        "40 groups (320 reflections)",
        "3 verdicts",
    ):
        assert part in notes
