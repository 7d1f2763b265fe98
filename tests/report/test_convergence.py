"""Samples to convergence: where retry success levels off, and when nothing can be said."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from rrr_core.report.convergence import convergence_of
from rrr_core.report.curves import curves_of


def curves(values: Sequence[float | None]) -> object:
    return curves_of({"step": step, "retry_success_rate": value} for step, value in enumerate(values, 1))


def found(values: Sequence[float | None], per_step: int | None = 256):  # type: ignore[no-untyped-def]
    return convergence_of(curves(values), per_step)  # type: ignore[arg-type]


def test_a_rise_that_levels_off_is_dated_and_counted_in_reflections() -> None:
    made = found([0.2] * 10 + [0.6] * 40)
    assert made.is_level
    assert 11 <= made.step <= 15
    assert made.samples == made.step * 256
    assert made.all_samples == 50 * 256
    assert (made.start, made.level) == pytest.approx((0.2, 0.6))


def test_a_rise_that_goes_on_has_not_converged() -> None:
    assert not found([0.2 + 0.01 * step for step in range(50)]).is_level


def test_noise_on_a_level_is_no_rise() -> None:
    chance = random.Random(0)
    values = [0.2] * 10 + [0.6] * 40
    assert found([value + chance.gauss(0, 0.03) for value in values]).is_level


@pytest.mark.parametrize("values", [[0.1, 0.6, 0.6], [0.5] * 20, [0.6 - 0.01 * step for step in range(20)], []])
def test_nothing_is_said_of_few_steps_or_of_a_success_that_did_not_rise(values: list[float]) -> None:
    assert found(values) is None


def test_steps_that_did_not_log_it_are_left_out_and_an_unknown_size_of_a_step_gives_no_samples() -> None:
    made = found([0.2, None] * 10 + [0.6, None] * 30, per_step=None)
    assert made.samples is None
    assert len(made.smoothed) == 40
