"""Pass rates, the tries that follow from them, and speeds from timed calls."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rrr_core.mining import MineSettings
from rrr_core.planning.fit_speeds import Call, fit_speeds
from rrr_core.planning.lengths import Lengths
from rrr_core.planning.rates import Rates, fitted
from rrr_core.planning.tries import play_mining


def test_rates_are_found_again_from_rows_that_were_drawn_from_them() -> None:
    chance = random.Random(1)
    counts = []
    for _ in range(2000):
        rate, passes = chance.betavariate(1.5, 3.0), 0
        while passes < 4 and chance.random() < rate:
            passes += 1
        counts.append((passes, int(passes < 4)))
    found = fitted(counts)
    assert found.mean == pytest.approx(1 / 3, abs=0.03)
    assert 2.5 < found.concentration < 8


def test_rows_that_always_pass_or_always_fail_differ_from_rows_that_are_all_alike() -> None:
    apart = fitted([(4, 0), (0, 4)] * 50)
    alike = fitted([(2, 2)] * 100)
    assert apart.mean == pytest.approx(alike.mean, abs=0.02)
    assert apart.all_alike(8) > 0.8
    assert alike.all_alike(8) < 0.02


def test_no_tries_give_no_rates() -> None:
    with pytest.raises(ValueError, match="no tries"):
        fitted([])


def test_mining_takes_the_tries_of_a_geometric_distribution_if_all_rows_are_alike() -> None:
    settings = MineSettings(rows=2000, tries=4, shard_rows=256)
    played = play_mining(settings, Rates(0.5, 1e6), 2000)
    assert played.tries == pytest.approx(2000 * (1 + 0.5 + 0.25 + 0.125), rel=0.05)
    assert played.failures == pytest.approx(2000 * (1 - 0.5**4), rel=0.03)


def test_rows_that_always_pass_take_all_tries() -> None:
    settings = MineSettings(rows=100, tries=8)
    assert play_mining(settings, Rates(0.995, 1e6), 100).tries > 700


def test_enough_failures_end_mining_early() -> None:
    settings = MineSettings(rows=4000, tries=4, failures_wanted=200, shard_rows=100)
    played = play_mining(settings, Rates(0.5, 2.0), 4000)
    assert 200 <= played.failures < 300
    assert played.rows < 1000


def test_a_larger_data_set_scales_what_was_played() -> None:
    settings = MineSettings(rows=40_000, tries=2)
    played = play_mining(settings, Rates(0.5, 2.0), 40_000)
    assert played.tries * played.scale == pytest.approx(40_000 * 1.5, rel=0.05)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30), st.integers(1, 64))
def test_the_longest_of_several_texts_is_between_the_mean_and_the_longest(lengths: list[int], count: int) -> None:
    found = Lengths.of(lengths)
    assert found.mean - 1e-6 <= found.longest_of(count) <= found.longest + 1e-6


@given(st.floats(1e-6, 1e-2), st.floats(1e-4, 1e-1), st.floats(1e-6, 1e-2))
def test_speeds_are_found_from_calls_that_took_exactly_so_long(read: float, step: float, written: float) -> None:
    assume(read <= step + written)
    sizes = [(900, 60, 1500), (60, 60, 90), (30, 8, 16), (500, 24, 1000), (200, 64, 200)]
    calls = [Call(a, b, c, a * read + b * step + c * written) for a, b, c in sizes]
    found = fit_speeds(calls)
    for call in calls:
        assert found.seconds(call) == pytest.approx(call.seconds, rel=1e-3)


def test_no_speed_is_below_zero_however_noisy_the_calls() -> None:
    chance = random.Random(0)
    calls = [Call(chance.random(), chance.random(), chance.random(), chance.random() + 0.01) for _ in range(6)]
    found = fit_speeds(calls)
    assert min(found.prefilled, found.step, found.written) >= 0


def test_calls_that_are_all_alike_are_not_blamed_on_the_few_tokens_that_they_read() -> None:
    found = fit_speeds([Call(10, 8, 64, 0.9), Call(20, 8, 64, 1.1), Call(11, 8, 64, 1.0), Call(40, 8, 64, 2.5)])
    assert found.prefilled <= found.step + found.written
    assert found.step + found.written > 0
