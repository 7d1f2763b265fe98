"""The headline and the checks: what a run shows about its gain, and when the gain is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rrr_core.evaluation.controls import CONTROLS
from rrr_core.report.evidence import Evidence, evidence_of


def share(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02, "passed": int(value * 1000), "total": 1000}


def difference(value: float, spread: float = 0.03) -> dict[str, Any]:
    return {"value": value, "low": value - spread, "high": value + spread, "p": 0.001, "total": 1000}


def figures(first: float, second: float, gain: float = 0.1, withheld: int = 0) -> dict[str, Any]:
    mode = {
        "first_try": share(first),
        "second_try": share(second),
        "gains": {control.gain: difference(gain) for control in CONTROLS},
        "abstentions": {"first_try": withheld, "second_try": 0},
    }
    return {"modes": {"sampled": mode, "greedy": mode}}


def pair(figure: str, value: float, mode: str = "sampled") -> dict[str, Any]:
    return {"a": "vanilla", "b": "trained", "mode": mode, "figure": figure, "difference": difference(value)}


def measured(value: float = 0.2, first: float = 0.1, claim: float = 0.05, **more: Any) -> Evidence:
    both = {"vanilla": figures(0.2, 0.3), "trained": figures(0.3, 0.3 + value, **more)}
    pairs = [pair("second_try", value), pair("second_try", value, "greedy"), pair("first_try", first)]
    return evidence_of(both, [*pairs, pair("first_try_b_vs_second_try_a", claim)])


def states(evidence: Evidence) -> Mapping[str, str]:
    return {check.title: check.state for check in evidence.checks}


def test_the_headline_states_the_gain_and_its_interval() -> None:
    assert measured().headline == (
        "Training lifts the second try from 30.0% to 50.0% right: +20.0 points, 95% interval +17.0 to +23.0."
    )


def test_a_loss_is_called_a_loss() -> None:
    assert measured(-0.1).headline.startswith("Training lowers the second try from 30.0% to 20.0% right: −10.0 points")


def test_an_interval_around_zero_is_no_gain() -> None:
    evidence = measured(0.01)
    assert evidence.headline.endswith("which chance could explain.")
    assert states(evidence)["Chance could explain the change of +1.0 point"] == "fails"


def test_every_check_that_holds_is_marked_so() -> None:
    assert set(states(measured()).values()) == {"holds"}
    assert len(measured().checks) == 8


@pytest.mark.parametrize(
    ("more", "failing"),
    [
        (
            {"gain": 0.0},
            {
                "Reflecting is not shown to beat just trying again: 0.0 points",
                "Another row’s reflection may do as well: 0.0 points",
                "Reflecting is not shown to beat a second sample: 0.0 points",
            },
        ),
        ({"first": -0.05}, {"The first try fell by 5.0 points"}),
        ({"claim": 0.0}, {"Trained, the first try does not beat the second try before training: 0.0 points"}),
        ({"withheld": 100}, {"The verifier withheld 2.8% of its verdicts"}),
    ],
)
def test_each_control_can_refute(more: dict[str, Any], failing: set[str]) -> None:
    found = states(measured(**more))
    assert {title for title, state in found.items() if state == "fails"} == failing


def test_a_check_names_the_change_to_the_digit_that_the_terminal_shows() -> None:
    titles = list(states(measured(0.2525, first=-0.01)))
    assert titles[0] == "The gain of 25.2 points is more than chance"
    assert "The first try hardly changed: −1.0 point" in titles


def test_a_gain_below_zero_is_said_to_be_a_loss() -> None:
    assert states(measured(-0.1))["The second try got worse by 10.0 points"] == "fails"


def test_too_few_rows_cannot_rule_out_that_the_first_try_fell() -> None:
    assert states(measured(first=-0.025))["The first try may have fallen: −2.5 points"] == "unknown"


def test_without_a_comparison_the_gain_has_no_interval_and_nothing_is_claimed() -> None:
    evidence = evidence_of({"vanilla": figures(0.2, 0.3), "trained": figures(0.3, 0.5)}, [])
    assert "without an interval" in evidence.headline
    assert states(evidence)["Second try, trained − before: not measured"] == "unknown"


@pytest.mark.parametrize(
    ("labels", "headline"),
    [
        ([], "No model was evaluated, so the gain is unknown."),
        (["vanilla"], "Only “vanilla” was evaluated, so the gain is unknown."),
        (["trained"], "Only the model after training was evaluated (sampled), so the gain is unknown."),
    ],
)
def test_half_an_evaluation_gives_no_gain(labels: list[str], headline: str) -> None:
    assert evidence_of({label: figures(0.2, 0.3) for label in labels}, []).headline == headline


def test_the_headline_is_about_greedy_decoding_if_nothing_was_sampled() -> None:
    both = {"vanilla": figures(0.2, 0.3), "trained": figures(0.3, 0.5)}
    for each in both.values():
        del each["modes"]["sampled"]
    assert evidence_of(both, [pair("second_try", 0.2, "greedy")]).mode == "greedy"


def test_missing_answers_are_a_check_of_their_own_only_where_there_are_any() -> None:
    few, many = figures(0.2, 0.3), figures(0.3, 0.5)
    mode = next(iter(few["modes"]))
    few["modes"][mode]["no_answers"] = {"first_try": {"content filter": 1}}
    many["modes"][mode]["no_answers"] = {"second_try": {"refusal": 10**6}}
    for made, title, state in (
        (few, "Hardly any answer is missing", "holds"),
        (many, "Many an answer is missing", "fails"),
    ):
        evidence = evidence_of({"vanilla": made, "trained": figures(0.3, 0.5)}, [])
        assert states(evidence)[title] == state


@pytest.mark.parametrize(("cut_off", "many", "state"), [(90, "Hardly any", "holds"), (110, "Many a", "fails")])
def test_texts_that_met_the_token_limit_are_a_check_of_their_own(cut_off: int, many: str, state: str) -> None:
    both = {"vanilla": figures(0.2, 0.3), "trained": figures(0.3, 0.4)}
    assert "Hardly any text met the token limit" not in states(evidence_of(both, []))
    both["trained"]["modes"]["sampled"]["cut_off"] = {"reflection": [cut_off, 2000]}
    assert states(evidence_of(both, []))[f"{many} text met the token limit"] == state
