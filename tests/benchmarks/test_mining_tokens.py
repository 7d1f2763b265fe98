"""The comparison of mining with a fixed number of samples per row: both sides count the same things."""

import pytest


def test_equally_hard_rows_take_five_samples_a_failure_against_sixty_four():
    from mining_tokens import FIXED, measure
    from simulated import equally_hard

    ways = measure(equally_hard(0.8), failures=300, seed=1)
    assert ways["fixed"].rows == ways["fixed"].failed_rows == 300
    assert ways["fixed"].samples == 300 * FIXED
    assert 300 <= ways["wanted"].failed_rows < 556
    assert ways["wanted"].samples / ways["wanted"].failed_rows == pytest.approx(5, rel=0.2)
    assert ways["same rows"].failed_rows == 300
    assert 0 < ways["same rows"].thrown_away < 0.15


def test_uneven_rows_cost_most_where_each_is_tried_to_its_end():
    from mining_tokens import measure
    from simulated import unevenly_hard

    ways = measure(unevenly_hard(0.8, 2.0, seed=1), failures=300, seed=1)
    cost = {name: way.tokens_a_failure for name, way in ways.items()}
    assert cost["wanted"] < 0.1 * cost["fixed"] < cost["same rows"] < cost["fixed"]
    assert ways["wanted"].accuracy_of_failed_rows < ways["same rows"].accuracy_of_failed_rows


def test_counted_by_failing_samples_the_fixed_way_wastes_nothing_either():
    from mining_tokens import figures_of, measure
    from simulated import equally_hard

    figures = {one.label: one for one in figures_of("even", measure(equally_hard(0.8), failures=300, seed=1))}
    assert figures["even: tokens, ours / fixed"].met
    assert figures["even: a failing sample, ours / fixed"].value == pytest.approx(1, rel=0.2)


def test_the_simulated_model_is_right_as_often_as_it_should_be_and_uneven_rows_have_the_same_mean():
    from simulated import SimulatedModel, equally_hard, simulated_task, unevenly_hard

    from rrr_core.generation.engine import Sampling

    task = simulated_task()
    rows = list(task.load_dataset("train", {"rows": "3000"}))
    for accuracy in (equally_hard(0.8), unevenly_hard(0.8, 2.0, seed=3)):
        model = SimulatedModel(accuracy)
        made = model.generate([task.prompt(row, model.model) for row in rows], Sampling(seed=2))
        right = sum(task.verify(row, each.text).is_passed for row, each in zip(rows, made, strict=True))
        assert right / len(rows) == pytest.approx(0.8, abs=0.03)
        assert model.tokens == sum(len(each.token_ids) for each in made)
    assert {unevenly_hard(0.8, 2.0, seed=3)(number) > 0.98 for number in range(100)} == {True, False}
