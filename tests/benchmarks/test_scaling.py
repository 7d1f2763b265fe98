"""The scaling benchmark measures what it says, and distinguishes growth from none."""

import json

import pytest


def test_mining_resuming_and_reading_are_measured_in_separate_processes(tmp_path):
    from scaling import measured

    mined = measured("mining", 300, tmp_path)
    assert mined["samples"] > 900
    assert 0 < mined["cpu"] < 60
    assert mined["seconds"] > 0
    assert mined["peak"] > 5
    assert measured("mining", 300, tmp_path)["samples"] == mined["samples"]
    assert measured("reading", 300, tmp_path)["failures"] == 300


def test_a_measurement_that_fails_says_why(tmp_path):
    from scaling import measured

    with pytest.raises(RuntimeError, match="no failure set"):
        measured("reading", 1, tmp_path)


def test_the_clock_counts_its_own_blocks_and_subtracts_another_clock():
    from scaling import Clock

    inner = Clock()
    with Clock() as outer:
        for _ in range(2):
            with inner:
                sum(range(100_000))
    assert 0 < inner.cpu < outer.cpu
    assert outer.less(inner)["seconds"] == pytest.approx(outer.wall - inner.wall)


def test_growth_is_distinguished_from_none():
    from scaling import change, growth

    linear, square = {10: 2.0, 100: 20.0}, {10: 2.0, 100: 200.0}
    assert change(linear, per_unit=True) == pytest.approx(1)
    assert change(square, per_unit=True) == pytest.approx(10)
    assert change(linear) == pytest.approx(10)
    assert growth("time", square).points == [(1.0, 1.0), (10.0, 100.0)], "both relative to the smallest's"


@pytest.mark.parametrize(("power", "met"), [(1.0, True), (1.5, False)])
def test_all_parts_write_their_figures_and_one_plot_and_compare_growth_with_a_goal(tmp_path, monkeypatch, power, met):
    import scaling

    def fake(what, size, folder):
        cost = 1e-5 * size**power
        return {"seconds": cost, "cpu": cost, "peak": 20.0, "samples": 5.0 * size, "failures": 1.0 * size}

    monkeypatch.setattr(scaling, "measured", fake)
    parts = {name: part([10, 1000]) for name, (part, _) in scaling.PARTS.items()}
    assert scaling.record_all(parts, tmp_path) == met
    figures = {row["label"]: row for row in json.loads((tmp_path / "scaling.json").read_text())["rows"]}
    for label in (
        "mining: CPU time a row, 1,000 rows over 10",
        "evaluating: CPU time a row, 1,000 rows over 10",
        "a step: CPU time a reflection, G 1000 over 10",
        "a step: CPU time a prompt's token, 1,000 over 10",
        "rrr tasks: CPU time a package, 1000 over 10",
    ):
        assert figures[label]["value"] == pytest.approx(100 ** (power - 1))
    plot = (tmp_path / "scaling.svg").read_text()
    assert plot.startswith("<svg")
    assert plot.count("<polyline") == 1 + sum(len(part.drawn) for part in parts.values())


def test_evaluating_is_measured_beside_the_model(tmp_path):
    from scaling import measured

    found = measured("evaluating", 300, tmp_path)
    assert found["samples"] > 300
    assert 0 < found["cpu"] < 60


def test_each_package_costs_the_listing_little(tmp_path):
    from scaling import measure_plugins

    assert 0 < measure_plugins(3, tmp_path)["cpu"] < 10


def test_a_step_is_measured_per_reflection(monkeypatch):
    import scaling

    monkeypatch.setattr(scaling, "measured", lambda what, size, folder: {"cpu": 1 + size, "peak": 10.0 + size})
    figures = {figure.label: figure.value for figure in scaling.step_part([2, 64]).figures}
    assert figures["a reflection, G 2"] == pytest.approx(750)
    assert figures["a step: CPU time a reflection, G 64 over 2"] == pytest.approx(65 / 128 / (3 / 4))


@pytest.mark.train
def test_a_real_step_reports_time_and_memory(tmp_path, monkeypatch):
    pytest.importorskip("trl", reason="needs rrr-core[train]")
    import scaling
    import training_step

    monkeypatch.setitem(training_step.SHAPES, "0.5B", training_step.SHAPES["tiny"])
    found = scaling.measure_step(2, tmp_path)
    assert found["seconds"] > 0
    assert found["peak"] >= 0
