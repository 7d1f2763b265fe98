"""The statistics, checked against published worked examples, exact coverage, and properties of all counts."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrr_core.evaluation.statistics import (
    exact_mcnemar,
    histogram,
    paired_difference,
    pooled_mean,
    quantile,
    wilson,
)

COUNTS = st.integers(0, 500)
TABLES = st.tuples(COUNTS, COUNTS, COUNTS, COUNTS).filter(any)


@pytest.mark.parametrize(
    ("passed", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_intervals_of_newcombe_1998_table_i_method_3(
    passed: int, total: int, low: float, high: float
) -> None:
    found = wilson(passed, total)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert (found.value, found.passed, found.total) == (passed / total, passed, total)


@given(passed=st.integers(0, 10_000), failed=st.integers(0, 10_000))
def test_wilson_contains_its_proportion_and_mirrors_its_complement(passed: int, failed: int) -> None:
    total = passed + failed
    if total == 0:
        return
    found, mirrored = wilson(passed, total), wilson(failed, total)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-12)


@pytest.mark.parametrize("truth", [0.02, 0.1, 0.35, 0.5, 0.9])
def test_wilson_covers_the_truth_about_95_times_in_100(truth: float) -> None:
    total = 200
    coverage = sum(
        math.comb(total, passed) * truth**passed * (1 - truth) ** (total - passed)
        for passed in range(total + 1)
        if wilson(passed, total).low <= truth <= wilson(passed, total).high
    )
    assert 0.93 <= coverage <= 0.975


@pytest.mark.parametrize(("passed", "total"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_invalid_counts(passed: int, total: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson(passed, total)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((36, 2, 12, 0), 0.0569, 0.3404),
        ((18, 2, 12, 18), 0.0562, 0.3290),
        ((53, 0, 0, 1), -0.0729, 0.0729),
        ((0, 0, 30, 0), 0.8395, 1.0),
    ],
)
def test_the_paired_interval_is_that_of_newcombe_1998_method_10(
    table: tuple[int, int, int, int], low: float, high: float
) -> None:
    found = paired_difference(*table)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@given(TABLES)
def test_a_paired_difference_lies_in_its_interval_and_changes_sign_when_its_arms_are_swapped(
    table: tuple[int, int, int, int],
) -> None:
    both, only_first, only_second, neither = table
    found, turned = paired_difference(*table), paired_difference(both, only_second, only_first, neither)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.value == (only_second - only_first) / sum(table)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-12)
    assert turned.p == found.p


@given(TABLES)
def test_swapping_right_and_wrong_only_changes_the_sign_of_a_difference(
    table: tuple[int, int, int, int],
) -> None:
    both, only_first, only_second, neither = table
    found, swapped = paired_difference(*table), paired_difference(neither, only_second, only_first, both)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-12)


@pytest.mark.parametrize(
    "truth", [(0.4, 0.1, 0.3, 0.2), (0.3, 0.2, 0.2, 0.3), (0.05, 0.05, 0.3, 0.6)], ids=lambda truth: str(truth)
)
def test_the_paired_interval_covers_the_truth_about_95_times_in_100(truth: tuple[float, ...]) -> None:
    total, difference = 25, truth[2] - truth[1]
    coverage = 0.0
    for both, only_first, only_second in product(range(total + 1), repeat=3):
        neither = total - both - only_first - only_second
        if neither < 0:
            continue
        table = (both, only_first, only_second, neither)
        found = paired_difference(*table)
        if found.low <= difference <= found.high:
            ways = math.factorial(total) / math.prod(math.factorial(count) for count in table)
            coverage += ways * math.prod(share**count for share, count in zip(truth, table, strict=True))
    assert 0.93 <= coverage <= 0.985


@pytest.mark.parametrize(("only_first", "only_second", "p"), [(1, 7, 0.0703), (6, 16, 0.0525), (0, 5, 0.0625)])
def test_mcnemar_gives_the_exact_p_values_of_worked_examples(only_first: int, only_second: int, p: float) -> None:
    assert exact_mcnemar(only_first, only_second) == pytest.approx(p, abs=5e-5)


def test_mcnemar_is_1_where_nothing_differs_or_both_differ_alike() -> None:
    assert exact_mcnemar(0, 0) == exact_mcnemar(7, 7) == 1


def test_mcnemar_stays_exact_where_powers_of_two_pass_the_range_of_floats() -> None:
    # The normal approximation, with continuity correction, is good to a few per cent here.
    z = (2200 - 2000 - 1) / math.sqrt(4200)
    assert exact_mcnemar(2000, 2200) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.02)
    assert exact_mcnemar(0, 20_000) == 0


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_probability_of_a_split_at_least_as_uneven(only_first: int, only_second: int) -> None:
    differing, uneven = only_first + only_second, abs(only_first - only_second)
    as_uneven = sum(math.comb(differing, k) for k in range(differing + 1) if abs(differing - 2 * k) >= uneven)
    assert exact_mcnemar(only_first, only_second) == pytest.approx(as_uneven / 2**differing)


@given(st.lists(st.integers(-1000, 1000), min_size=1), st.floats(0, 1))
def test_a_quantile_lies_among_the_values_and_has_its_share_below(values: list[int], share: float) -> None:
    found = quantile(values, share)
    assert min(values) <= found <= max(values)
    assert sum(value < found for value in values) <= share * (len(values) - 1) + 1
    assert sum(value <= found + 1e-6 for value in values) >= share * (len(values) - 1)


def test_the_quantile_between_two_values_is_interpolated() -> None:
    assert quantile([1, 2, 3, 4], 0.5) == 2.5
    assert quantile([4, 1, 3, 2], 0.1) == pytest.approx(1.3)


def test_there_is_no_quantile_of_nothing() -> None:
    with pytest.raises(ValueError, match="quantile of 0 values"):
        quantile([], 0.5)


def test_a_histogram_counts_a_value_on_an_edge_below_it() -> None:
    assert histogram([1, 4, 5, 8], [4, 8]) == [(4, 2), (8, 2)]


def test_a_histogram_refuses_a_value_that_it_would_lose() -> None:
    with pytest.raises(ValueError, match="above the last edge"):
        histogram([9], [4, 8])


@pytest.mark.parametrize(
    ("count", "t"), [(2, 12.7062), (3, 4.3027), (4, 3.1824), (5, 2.7764), (11, 2.2281), (31, 2.0423), (32, 2.0395)]
)
def test_the_interval_over_seeds_uses_students_t_of_the_printed_tables(count: int, t: float) -> None:
    values = [0.0] * (count - 1) + [1.0]
    found = pooled_mean(values)
    assert found.deviation is not None
    assert found.high is not None
    assert (found.high - found.value) / (found.deviation / math.sqrt(count)) == pytest.approx(t, abs=5e-5)


def test_three_seeds_give_their_mean_and_the_interval_of_a_worked_example() -> None:
    # 18, 20, 25: mean 21, standard deviation 3.6056, t(2) = 4.3027, half width 8.957.
    found = pooled_mean([0.18, 0.20, 0.25])
    assert (found.value, found.low, found.high) == pytest.approx((0.21, 0.1204, 0.2996), abs=1e-4)


def test_one_seed_has_a_mean_and_no_interval() -> None:
    found = pooled_mean([0.2])
    assert (found.value, found.low, found.high, found.deviation, found.count) == (0.2, None, None, None, 1)
