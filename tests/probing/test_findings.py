"""Figures of a probe: what each says, on how much, and that no interval is empty."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from rrr_core.probing.estimates import Passes, picked, worth, worth_over_none
from rrr_core.probing.findings import findings_of, groups_needed
from rrr_core.probing.sampling import Group, Sample

YES, NO = True, False


def group(retries: Passes, again: Passes = (), plain: Passes = (), others: Passes = (), gold: Passes = ()) -> Group:
    return Group(retries, again or [None] * len(retries), plain, others, gold)


def sample(tries: Sequence[Passes], groups: Sequence[Group], **changes: object) -> Sample:
    values: dict[str, object] = {
        "classes": Counter({"wrong": 3, "no tag": 1}),
        "group_size": 2,
        "batch_groups": 10,
        "cut_off": {"first try": (1, 8), "reflection": (0, 0)},
        "formless": (1, 4),
        "distinct": 0.5,
    }
    return Sample(tries, groups=groups, **{**values, **changes})  # type: ignore[arg-type]


def test_first_tries_are_averaged_over_rows_and_a_row_is_reached_by_one_pass() -> None:
    found = findings_of(sample([[YES, NO], [NO, NO], [YES, None], [None, None]], []))
    assert (found.rows, found.withheld) == (3, 3)
    assert found.first_try.value == pytest.approx(0.5)
    assert found.reached.value == pytest.approx(2 / 3)
    assert found.categories == {"wrong": 3, "no tag": 1}
    assert found.formless is not None
    assert (found.formless.value, found.formless.count) == (0.25, 4)
    assert list(found.cut_off) == ["first try"]


def test_without_a_failure_there_is_nothing_to_say_of_reflections() -> None:
    found = findings_of(sample([[YES, YES]], []))
    assert found.signal is None
    assert found.signal_in_a_step is None
    assert found.groups_needed is None
    assert found.picked_over_own is None
    json.dumps(found.to_json(), allow_nan=False)


def test_gains_are_paired_over_failures() -> None:
    groups = [
        group([YES, YES], [YES, YES], plain=[NO, NO], others=[YES, NO], gold=[YES, YES]),
        group([YES, NO], [YES, NO], plain=[NO, NO], others=[YES, NO], gold=[NO, NO]),
    ]
    found = findings_of(sample([[NO, NO]] * 2, groups))
    assert found.own is not None
    assert found.own.value == 0.75
    assert found.own_over_none is not None
    assert (found.own_over_none.value, found.own_over_none.count) == (0.75, 2)
    assert found.own_over_others is not None
    assert found.own_over_others.value == 0.25
    assert found.gold_over_none is not None
    assert found.gold_over_none.value == 0.5


def test_the_signal_is_of_groups_that_both_pass_and_fail_and_of_as_many_in_a_step() -> None:
    groups = [group([YES, NO]), group([YES, YES]), group([NO, NO]), group([None, NO])]
    found = findings_of(sample([[NO, NO]] * 4, groups))
    assert found.signal is not None
    assert (found.signal.value, found.signal.count) == (pytest.approx(1 / 3), 3)
    assert found.signal_in_a_step is not None
    assert found.signal_in_a_step.value == pytest.approx(10 / 3)


def test_equal_figures_of_few_failures_are_not_taken_for_certain() -> None:
    found = findings_of(sample([[NO, NO]] * 3, [group([NO, NO], [NO, NO], plain=[NO, NO])] * 3))
    assert found.own_over_none is not None
    assert found.own_over_none.low < -0.5
    assert found.own_over_none.high > 0.5
    assert found.plain is not None
    assert found.plain.low == 0
    assert found.plain.high > 0.5


def test_what_was_picked_is_judged_by_the_other_retry() -> None:
    found = picked([([YES, NO], [YES, NO]), ([YES, NO], [NO, NO]), ([NO, NO], [NO, NO])])
    assert found is not None
    # 1, both ways, where the same reflection worked twice; 0, one way, where it worked once; the third picks nothing.
    assert (found.value, found.count) == (pytest.approx(2 / 3), 2)
    assert picked([([NO], [NO])]) is None


def test_what_was_picked_is_held_against_retries_without_a_reflection_on_the_same_failure() -> None:
    groups = [
        group([YES, NO], [YES, NO], plain=[NO, NO]),  # the one that worked works again, none never does
        group([YES, NO], [NO, NO], plain=[YES, NO]),  # it does not, and none does in half of all cases
        group([NO, NO], [NO, NO], plain=[YES, YES]),  # nothing is picked
        group([YES, YES], [YES, YES], plain=[None]),  # nothing was judged without one
    ]
    found = findings_of(sample([[NO, NO]] * 4, groups))
    assert found.picked_over_none is not None
    # Both ways round in the first group, and one way in the second: 1, 1 and -0.5.
    assert (found.picked_over_none.value, found.picked_over_none.count) == (pytest.approx(0.5), 2)
    assert findings_of(sample([[NO, NO]], groups[2:3])).picked_over_none is None


def test_picking_among_retries_of_pure_chance_finds_their_mean() -> None:
    chance = random.Random(1)
    groups = [
        ([chance.random() < 0.3 for _ in range(8)], [chance.random() < 0.3 for _ in range(8)]) for _ in range(600)
    ]
    found = picked(groups)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.3 < found.high


@pytest.mark.parametrize(
    ("seldom", "helped", "plain", "over_any"),
    [(0.0, 0.1, 0.1, 0.0), (0.1, 0.5, 0.05, 0.41), (0.3, 0.4, 0.1, 0.25)],
    ids=["retries of pure chance", "one reflection in ten helps", "three in ten help"],
)
def test_picking_finds_what_a_reflection_that_works_is_worth(
    seldom: float, helped: float, plain: float, over_any: float
) -> None:
    chance = random.Random(3)

    def passes(shares: list[float]) -> list[bool | None]:
        return [chance.random() < share for share in shares]

    groups = []
    for _ in range(4000):
        shares = [(helped if chance.random() < seldom else 0.0) if seldom else plain for _ in range(8)]
        groups.append((passes(shares), passes(shares), passes([plain] * 8)))
    over_none, found = worth_over_none(groups), worth([each[:2] for each in groups])
    assert over_none is not None
    assert found is not None
    assert over_none.value == pytest.approx(helped - plain if seldom else 0, abs=0.03)
    assert found.value == pytest.approx(over_any, abs=0.03)


@pytest.mark.parametrize(("signal", "groups"), [(1.0, 4), (0.5, 13), (0.1, 76), (0.0, None), (0.0001, None)])
def test_a_step_needs_more_groups_the_fewer_have_a_signal(signal: float, groups: int | None) -> None:
    assert groups_needed(signal) == groups


def test_a_sample_without_a_verdict_is_refused() -> None:
    with pytest.raises(ValueError, match="no try got a verdict"):
        findings_of(sample([[None]], []))
