"""The demo's benchmark reads gains from a run's files, and compares time and gain with their goals."""

import pytest


def comparison(value, low, high):
    difference = {"value": value, "low": low, "high": high, "p": 0.1, "total": 2000}
    pair = {"a": "vanilla", "b": "trained", "mode": "greedy", "figure": "second_try", "difference": difference}
    return {"pairs": [{**pair, "figure": "first_try"}, pair]}


def demo(seconds, *gain):
    from demo_time import Demo, gains_of

    return Demo(seconds, gains_of(comparison(*gain)))


def test_the_gain_is_the_second_trys_in_points_with_its_interval():
    from demo_time import gains_of

    gains = gains_of(comparison(0.1, 0.08, 0.125))
    assert list(gains) == ["greedy"]
    assert (gains["greedy"].value, gains["greedy"].low, gains["greedy"].high) == pytest.approx((10, 8, 12.5))


@pytest.mark.parametrize(("now", "same"), [((0.12, 0.1, 0.14), 1.0), ((0.2, 0.18, 0.22), 0.0)])
def test_gains_are_the_same_if_their_intervals_overlap(now, same):
    from demo_time import figures_of

    runs = {"before": [demo(100, 0.1, 0.08, 0.125)], "now": [demo(40, *now)]}
    figures = {figure.label: figure for figure in figures_of(runs)}
    assert figures["the same gain, greedy"].value == same
    assert figures["rrr demo, now of before"].value == pytest.approx(0.4)
    assert figures["rrr demo, now of before"].met


def test_a_revision_is_checked_out_without_touching_the_repository(tmp_path):
    from demo_time import ROOT, check_out

    if not (ROOT / ".git").exists():
        pytest.skip("needs a clone of the repository")
    check_out("HEAD", tmp_path)
    assert (tmp_path / "rrr_core" / "hookspecs.py").exists()
    assert not (tmp_path / ".git").exists()


def test_a_revision_that_a_newer_transformers_slows_down_is_not_compared(tmp_path):
    from demo_time import ROOT, why_unfair

    assert why_unfair(tmp_path, "5.23.0") is None
    assert "transformers<5.24" in why_unfair(tmp_path, "5.24.0")
    assert why_unfair(ROOT, "5.24.0") is None
