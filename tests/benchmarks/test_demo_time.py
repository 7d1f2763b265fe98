"""The demo's benchmark reads gains from a run's files, and compares time and gain with their goals."""

import pytest


def comparison(value, low, high):
    difference = {"value": value, "low": low, "high": high, "p": 0.1, "total": 2000}
    pair = {"a": "vanilla", "b": "trained", "mode": "greedy", "figure": "second_try", "difference": difference}
    return {"pairs": [{**pair, "figure": "first_try"}, pair]}


def demo(seconds, *gain, processor_seconds=10.0, results=()):
    from demo_time import Demo, gains_of

    return Demo(seconds, gains_of(comparison(*gain)), processor_seconds, dict(results))


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


def test_side_by_side_processor_time_is_compared_by_pairs():
    from demo_time import figures_of

    gain = (0.1, 0.08, 0.125)
    runs = {
        name: [demo(100, *gain, processor_seconds=used) for used in each]
        for name, each in {"before": (100, 50, 200), "now": (101, 51, 203)}.items()
    }
    figures = {figure.label: figure for figure in figures_of(runs, goal=1.03, side_by_side=True)}
    ratio = figures["rrr demo, processor time, now of before"]
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((1.015, 1.0025, 1.0276), abs=2e-4)
    assert ratio.met


def test_side_by_side_the_two_sides_swap_cores_with_every_repeat(monkeypatch):
    import demo_time

    monkeypatch.setattr(demo_time.os, "sched_getaffinity", lambda process: {7, 4, 5}, raising=False)
    assert [demo_time.cores_of_repeat(True, repeat) for repeat in (0, 1, 2)] == [[4, 5], [5, 4], [4, 5]]
    assert demo_time.cores_of_repeat(False, 0) == []


@pytest.mark.parametrize("changed", [None, "mine/shard-00001.jsonl", "train/model/model.safetensors"])
def test_both_did_the_same_work_if_every_file_of_texts_verdicts_and_weights_is_equal(tmp_path, changed):
    from demo_time import digests_of, figures_of

    for side in ("before", "now"):
        for name in ("mine/shard-00001.jsonl", "train/model/model.safetensors", "mine/manifest.json"):
            path = tmp_path / side / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(side if name in (changed, "mine/manifest.json") else "equal")
    gain = (0.1, 0.08, 0.125)
    runs = {side: [demo(1, *gain, results=digests_of(tmp_path / side))] for side in ("before", "now")}
    figures = {figure.label: figure.value for figure in figures_of(runs)}
    assert figures["the same texts, verdicts and weights"] == (changed is None)


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
