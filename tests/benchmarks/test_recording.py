"""A benchmark's figures are saved together with their circumstances, and plotted."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

SVG = "{http://www.w3.org/2000/svg}"


def test_a_goal_is_the_least_or_the_most_that_a_figure_may_be():
    from recording import Figure

    assert Figure("faster", 4.0, "×", goal=4).met
    assert not Figure("faster", 3.9, "×", goal=4).met
    assert Figure("memory", 0.5, "×", goal=0.5, at_most=True).met
    assert not Figure("memory", 0.6, "×", goal=0.5, at_most=True).met
    assert Figure("seconds", 1.0, "s").met is None


def test_repeated_measurements_give_their_median_with_an_interval():
    from recording import median_of

    assert [(one.value, one.low, one.high, one.n) for one in [median_of("t", [3, 1, 2], "s")]] == [(2, 1, 3, 3)]
    many = median_of("t", list(range(1, 21)), "s")
    assert (many.value, many.low, many.high) == (10.5, 6, 15)


def test_a_single_measurement_has_no_interval():
    from recording import median_of

    one = median_of("t", [3.0], "s")
    assert (one.low, one.high, one.to_json()["interval"]) == (None, None, None)


def test_the_file_says_what_was_measured_and_on_what(tmp_path, capsys):
    from recording import Figure, record

    figures = [Figure("ours against stock", 5.0, "×", goal=4), Figure("stock", 20.0, "s")]
    assert record("step", figures, tmp_path, about={"prompt": 800})
    written = json.loads((tmp_path / "step.json").read_text())
    assert {"name", "date", "command", "machine", "packages", "commit", "about", "rows"} == set(written)
    assert written["machine"]["cpu"]
    assert written["machine"]["cores"] >= 1
    assert written["about"] == {"prompt": 800}
    assert [(row["value"], row["goal"], row["met"]) for row in written["rows"]] == [(5.0, 4, True), (20.0, None, None)]
    assert "ours against stock: 5 ×; goal ≥ 4: met" in capsys.readouterr().out


def test_a_missed_goal_is_returned_to_the_caller(tmp_path):
    from recording import Figure, record

    assert not record("step", [Figure("ours", 3.0, "×", goal=4)], tmp_path)


def test_bars_are_as_long_as_their_figures_and_only_those_with_a_goal_and_a_unit_are_drawn(tmp_path):
    from recording import Figure, record

    figures = [Figure("a", 8.0, "×", goal=4), Figure("b", 2.0, "×", goal=4), Figure("seconds", 99.0, "s")]
    figures.append(Figure("both are equal", 1.0, "", goal=1.0))
    record("step", figures, tmp_path)
    drawn = ElementTree.parse(tmp_path / "step.svg").getroot()
    lengths = [float(rect.get("width")) for rect in drawn.findall(f"{SVG}rect")[1:]]
    assert len(lengths) == 2
    assert lengths[0] == pytest.approx(4 * lengths[1], abs=0.5)


def test_labels_are_drawn_as_text_and_never_as_markup():
    from recording import Figure, bars

    drawn = bars("<script>", [Figure("a & b", 1.0, "×")])
    assert "<script>" not in drawn
    assert [text.text for text in ElementTree.fromstring(drawn).findall(f"{SVG}text")][:2] == ["<script>", "a & b"]


def test_a_line_of_linear_growth_rises_as_far_as_it_goes():
    from recording import Line, lines

    drawn = ElementTree.fromstring(lines("scaling", [Line("ours", [(10, 0.1), (1000, 10)])], "rows", "seconds"))
    (start, end) = (tuple(map(float, point.split(","))) for point in drawn.find(f"{SVG}polyline").get("points").split())
    assert end[0] - start[0] == pytest.approx(start[1] - end[1], abs=0.2)
    assert end[0] > start[0]


def test_a_point_without_a_logarithm_is_refused():
    from recording import Line, lines

    with pytest.raises(ValueError, match="no place for 0"):
        lines("scaling", [Line("ours", [(0, 1)])], "rows", "seconds")
