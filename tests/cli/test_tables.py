"""The tables printed after an evaluation: shares with intervals, controls, and differences between two models."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from rrr_core.cli.tables import difference, print_comparison, share


def figure(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02, "passed": 1, "total": 2}


def figures(first: float, second: float) -> dict[str, Any]:
    return {"rows": 2000, "modes": {"sampled": {"first_try": figure(first), "second_try": figure(second)}}}


def shown(figures: dict[str, Any], **rest: Any) -> str:
    out = io.StringIO()
    print_comparison({"figures": figures, **rest}, Console(file=out, width=40))
    return out.getvalue()


def test_two_models_are_shown_side_by_side_with_their_difference() -> None:
    pair = {
        "a": "vanilla",
        "b": "trained",
        "mode": "sampled",
        "figure": "second_try",
        "difference": {"value": 0.1, "low": 0.05, "high": 0.15, "p": 0.001},
    }
    text = shown({"vanilla": figures(0.3, 0.4), "trained": figures(0.32, 0.5)}, pairs=[pair])
    assert "sampled, 2000 rows, % right (95% interval)" in text
    row = next(line for line in text.splitlines() if "second try after reflection" in line)
    assert "40.0 (38.0-42.0)" in row
    assert "50.0 (48.0-52.0)" in row
    assert "+10.0 (+5.0 to +15.0)" in row


def test_one_model_has_no_difference_column_and_missing_controls_no_row() -> None:
    text = shown({"vanilla": figures(0.3, 0.4)})
    assert "difference" not in text
    assert "control" not in text


def test_a_figure_of_no_rows_is_a_dash() -> None:
    assert share({"value": None, "low": None, "high": None, "passed": 0, "total": 0}) == "-"
    assert difference(None) == "-"


def test_a_models_label_cannot_control_the_terminal() -> None:
    text = shown({"a\x1b[2J[red]": figures(0.1, 0.2)})
    assert "\x1b[2J" not in text
    assert "[red]" in text


def test_notes_are_printed_below_the_tables() -> None:
    text = shown({"vanilla": figures(0.1, 0.2)}, notes=["a and b differ in settings.seed: 0 and 1.\x1b"])
    assert text.endswith("note: a and b differ in settings.seed: 0 and 1.�\n")


def test_texts_that_met_the_token_limit_are_shown_where_they_pass_a_twentieth() -> None:
    made = figures(0.1, 0.2)
    made["modes"]["sampled"]["cut_off"] = {"first_try": [5, 100], "reflection": [30, 90]}
    assert shown({"vanilla": made}).endswith("cut off by --max-tokens: vanilla, sampled: reflection 33%\n")
    made["modes"]["sampled"]["cut_off"] = {"first_try": [5, 100]}
    assert "cut off" not in shown({"vanilla": made})
