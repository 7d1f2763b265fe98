"""Training curves from the lines of metrics.jsonl."""

from __future__ import annotations

import math

from rrr_core.report.curves import LONGEST_CURVE, curves_of


def test_a_name_that_a_step_did_not_log_is_a_gap() -> None:
    curves = curves_of([{"step": 1, "kl": 0.1}, {"step": 2, "loss": 3.0}])
    assert curves.steps == [1, 2]
    assert curves.series == {"kl": [0.1, None], "loss": [None, 3.0]}


def test_a_step_logged_again_after_a_resume_counts_once() -> None:
    curves = curves_of([{"step": 2, "kl": 0.1}, {"step": 1, "kl": 0.3}, {"step": 2, "kl": 0.2}])
    assert (curves.steps, curves.series["kl"]) == ([1, 2], [0.3, 0.2])


def test_values_that_are_not_finite_are_gaps_and_text_is_left_out() -> None:
    curves = curves_of([{"step": 1, "kl": math.nan, "loss": math.inf, "note": "hello"}, {"step": 2, "kl": 1}])
    assert curves.series == {"kl": [None, 1.0]}


def test_long_curves_are_averaged_over_equal_stretches() -> None:
    curves = curves_of({"step": step, "kl": float(step)} for step in range(LONGEST_CURVE * 5))
    assert (len(curves.steps), curves.logged) == (LONGEST_CURVE, LONGEST_CURVE * 5)
    assert curves.steps[0] == curves.series["kl"][0] == 2.0


def test_known_panels_come_first_and_unknown_names_are_kept() -> None:
    panels = curves_of([{"step": 1, "zeta": 1, "kl": 1, "retry_success_rate": 0.5}]).panels
    assert [panel.title for panel in panels] == ["Retry success rate", "Divergence (KL)", "zeta"]


def test_metrics_of_rounds_have_titles_and_are_shares() -> None:
    logged = {"round_2_entered": 0.5, "round_12_retry_success_rate": 0.1, "round_x_entered": 1.0}
    panels = curves_of([{"step": 1, **logged}]).panels
    assert [(panel.title, panel.unit) for panel in panels] == [
        ("Round 2: episodes that enter it", "share"),
        ("Round 12: retry success rate", "share"),
        ("round_x_entered", ""),
    ]


def test_no_lines_give_no_curves() -> None:
    assert curves_of([]).steps == []
