"""The tables printed after an evaluation: shares with intervals, controls, and differences between two models."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from rrr_core.cli.cells import difference, share
from rrr_core.cli.tables import print_comparison
from rrr_core.evaluation.controls import CONTROL_KEYS


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


def round_figures(number: int, share: float, **more: Any) -> dict[str, Any]:
    names = ("right", "entered", "right_of_entered", "repeats")
    return {"round": number, **{name: figure(share) | {"total": 345} for name in names}, **more}


def with_rounds(*rounds: dict[str, Any]) -> dict[str, Any]:
    return {"rows": 2000, "modes": {"sampled": {"first_try": figure(0.1), "rounds": list(rounds)}}}


def test_one_round_is_a_line_with_its_trigger_rate_and_repeats() -> None:
    text = shown({"vanilla": with_rounds(round_figures(1, 0.4))})
    line = "one round, %: vanilla, sampled: 40.0 (38.0-42.0) of 345 enter the round"
    assert f"{line}, 40.0 (38.0-42.0) of 345 repeat an earlier answer\n" in text
    assert "by round" not in text


def test_several_rounds_are_a_table_with_the_controls_after_as_many_tries() -> None:
    gain = {"value": 0.1, "low": 0.05, "high": 0.15, "p": 0.001, "total": 345}
    independent = CONTROL_KEYS[-1]
    later = round_figures(2, 0.6, controls={independent: figure(0.5)}, gains={independent: gain})
    two = with_rounds(round_figures(1, 0.4), later)
    pair = {"a": "vanilla", "b": "trained", "mode": "sampled", "figure": "after_round_2", "difference": gain}
    text = shown({"vanilla": two, "trained": two}, pairs=[pair])
    assert "sampled, by round, % (95% interval) of how many" in text
    row = next(line for line in text.splitlines() if "round 2: right after it" in line)
    assert "60.0 (58.0-62.0) of 345" in row
    assert "+10.0 (+5.0 to +15.0)" in row
    assert next(line for line in text.splitlines() if "control: pass@3" in line).count("50.0 (48.0-52.0) of 2") == 2
    assert "gain over pass@3, points" in text
    assert "one round" not in text


def test_a_model_with_fewer_rounds_and_one_from_before_rounds_have_dashes() -> None:
    two = with_rounds(round_figures(1, 0.4), round_figures(2, 0.6, right_of_entered=None, repeats=None))
    text = shown({"two": two, "one": with_rounds(round_figures(1, 0.4)), "old": figures(0.1, 0.2)})
    cells = [
        cell.strip() for cell in next(each for each in text.splitlines() if "round 2: right after" in each).split("│")
    ]
    assert cells[2:5] == ["60.0 (58.0-62.0) of 345", "-", "-"]
    assert "round 2: repeat" not in text


def decided(value: float, tokens: float | None = 30.0) -> dict[str, Any]:
    shares = ("undecided", "retried_right", "retried_wrong", "right_to_wrong", "wrong_to_right", "right")
    return {
        "rows": 1990,
        **{name: figure(value) for name in shares},
        "gain": figure(value),
        "lost": figure(0.01),
        "tokens": None if tokens is None else {"total": tokens},
    }


def test_deciders_have_a_table_of_their_own_with_the_oracle_beside_them() -> None:
    made = figures(0.3, 0.4)
    asked = {"oracle": decided(0.1), "model": {**decided(0.05, None), "retried_right": None}}
    made["modes"]["sampled"]["deciders"] = asked
    text = shown({"vanilla": made})
    assert "who decides to retry: vanilla, sampled, 1990 rows, %" in text
    oracle, model = (
        next(line for line in text.splitlines() if line.startswith(f"│ {name} ")) for name in ("oracle", "model")
    )
    assert "10.0 (8.0-12.0)" in oracle
    assert "+10.0 (+8.0 to +12.0)" in oracle
    assert " 30 " in oracle
    assert " - / 5.0 " in model
    assert " - │" in model


def test_a_long_name_is_folded_and_no_figure_is() -> None:
    made = figures(0.3, 0.4)
    made["modes"]["sampled"]["deciders"] = {"noisy:false_pass=0.1,false_fail=0,seed=12345": decided(0.1)}
    text = shown({"vanilla": made})
    assert "+10.0 (+8.0 to +12.0)" in text
    assert max(map(len, text.splitlines())) <= 160


def test_a_decider_that_was_named_by_a_file_cannot_control_the_terminal() -> None:
    made = figures(0.3, 0.4)
    made["modes"]["sampled"]["deciders"] = {"\x1b[2J[red]": decided(0.1)}
    text = shown({"vanilla": made})
    assert "\x1b[2J" not in text
    assert "[red]" in text


def test_corrected_shares_stand_below_those_as_judged() -> None:
    made = figures(0.3, 0.4)
    corrected = {"value": 0.25, "low": 0.2, "high": 0.3}
    made["modes"]["sampled"]["corrected"] = {"shares": {"first_try": corrected}}
    lines = shown({"vanilla": made}).splitlines()
    (place,) = (index for index, line in enumerate(lines) if "corrected: first try" in line)
    assert "25.0 (20.0-30.0)" in lines[place]
    assert "30.0 (28.0-32.0)" in lines[place - 1]
    two = shown({"vanilla": made, "trained": figures(0.3, 0.5)})
    assert "corrected: first try" in two
