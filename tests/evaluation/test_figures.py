"""The figures of hand-made episodes, counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rrr_core.episode import Episode
from rrr_core.evaluation import figures
from rrr_core.evaluation.controls import CONTROL_KEYS
from rrr_core.evaluation.figures import WAYS, length_edges
from rrr_core.verdicts import Verdict, abstained, failed, no_answer, passed
from tests.episodes import make_episode

KEYS = [way.key for way in WAYS]
P, F, A = passed(), failed("sum"), abstained("exception", "a bug")


def episode(first: Verdict, retry: Verdict | None = None, tokens: int | None = None, **controls: Verdict) -> Episode:
    judged = {name: (("", verdict),) for name, verdict in controls.items()}
    return make_episode(first, retry, tokens=tokens, controls=judged)


def share(proportion: Any) -> tuple[int, int]:
    return proportion.passed, proportion.total


def test_a_row_right_at_first_is_right_at_every_second_try() -> None:
    made = figures([episode(P), episode(F, F, no_reflection=F, other_reflection=F, independent=F)])
    assert {name: share(made.shares[name]) for name in KEYS} == dict.fromkeys(KEYS, (1, 2))


def test_the_second_try_of_failures_is_among_failed_rows_alone() -> None:
    made = figures([episode(P), episode(F, P), episode(F, F), episode(F, F)])
    assert share(made.shares["second_try_of_failures"]) == (1, 3)
    assert share(made.shares["second_try"]) == (2, 4)


def test_an_abstention_is_excluded_from_the_figures_that_need_its_verdict_and_no_others() -> None:
    made = figures(
        [
            episode(A),
            episode(F, A, no_reflection=P, other_reflection=F, independent=A),
            episode(F, P, no_reflection=A, other_reflection=F, independent=F),
        ]
    )
    assert {name: share(made.shares[name])[1] for name in KEYS} == {
        "first_try": 2,
        "second_try": 1,
        "no_reflection": 1,
        "other_reflection": 2,
        "pass_at_2": 1,
    }
    assert made.abstentions == {
        "first_try": 1,
        "second_try": 1,
        "no_reflection": 1,
        "other_reflection": 0,
        "pass_at_2": 1,
    }
    assert made.transitions == {"right": 0, "wrong→right": 1, "wrong→wrong": 0, "abstained": 2}


def test_a_gain_pairs_the_rows_judged_at_both_tries() -> None:
    made = figures(
        [
            episode(P),
            episode(F, P, no_reflection=F),
            episode(F, P, no_reflection=P),
            episode(F, F, no_reflection=P),
            episode(F, A, no_reflection=P),
        ]
    )
    gain = made.gains["reflection_vs_no_reflection"]
    assert gain is not None
    assert (gain.only_first, gain.only_second, gain.total, gain.value) == (1, 1, 4, 0)


def test_a_control_that_was_not_run_is_none_and_not_computed_from_rows_right_at_once() -> None:
    made = figures([episode(P), episode(F, P, no_reflection=F)])
    assert made.shares["pass_at_2"] is None
    assert made.gains["reflection_vs_pass_at_2"] is None
    assert made.shares["no_reflection"] is not None
    assert "pass_at_2" not in made.abstentions


def test_a_failed_row_without_its_control_is_counted_as_left_out() -> None:
    made = figures([episode(F, P, no_reflection=F)], ["no_reflection", "other_reflection"])
    assert made.left_out == {"no_reflection": 0, "other_reflection": 1}
    assert made.shares["other_reflection"] is None


def test_error_classes_are_counted_before_and_after() -> None:
    made = figures([episode(failed("sum"), failed("form")), episode(failed("sum"), P), episode(failed("form"), A)])
    assert made.error_classes == {"first": {"sum": 2, "form": 1}, "second": {"form": 1}}


def test_reflection_lengths_leave_out_reflections_without_token_counts() -> None:
    made = figures([episode(F, F, tokens=4), episode(F, F, tokens=5), episode(F, F, tokens=None)])
    lengths = made.reflection_tokens
    assert lengths is not None
    assert (lengths.mean, lengths.median, lengths.count) == (4.5, 4.5, 2)
    assert lengths.histogram == [(4, 1), (6, 1)]
    assert made.reflections == {"written": 3, "empty": 0, "distinct": 1}


def test_without_episodes_there_are_no_figures() -> None:
    made = figures([], ["independent"])
    assert set(made.shares.values()) == {None}
    assert made.reflection_tokens is None


@given(st.integers(1, 5000))
def test_the_edges_of_lengths_cover_the_longest_and_are_the_same_for_all_models(longest: int) -> None:
    edges = length_edges(longest)
    assert edges[-1] >= longest
    assert edges == length_edges(10_000)[: len(edges)]


VERDICTS = st.sampled_from([P, F, A])


@st.composite
def any_episode(draw: st.DrawFn) -> Episode:
    first = draw(VERDICTS)
    if not first.is_failed:
        return episode(first)
    return episode(first, draw(VERDICTS), draw(st.integers(1, 99)), **{key: draw(VERDICTS) for key in CONTROL_KEYS})


@given(st.lists(any_episode()))
def test_every_row_is_in_a_figure_or_in_its_abstentions(episodes: list[Episode]) -> None:
    made = figures(episodes, CONTROL_KEYS)
    for name in KEYS:
        proportion = made.shares[name]
        withheld = made.abstentions[name] + (made.abstentions["first_try"] if name != "first_try" else 0)
        assert (proportion.total if proportion else 0) + withheld == len(episodes)
    assert sum(made.transitions.values()) == len(episodes)
    for name in KEYS[1:]:
        proportion = made.shares[name]
        if proportion and (first := made.shares["first_try"]) and not made.abstentions[name]:
            assert proportion.passed >= first.passed


def test_a_row_without_an_answer_is_in_no_share_and_is_no_abstention() -> None:
    filtered, refused = no_answer("content filter"), no_answer("refusal")
    made = figures(
        [
            episode(filtered),
            episode(F, refused, no_reflection=P, other_reflection=filtered, independent=F),
            episode(F, P, no_reflection=F, other_reflection=F, independent=F),
        ]
    )
    assert {name: share(made.shares[name])[1] for name in KEYS} == {
        "first_try": 2,
        "second_try": 1,
        "no_reflection": 2,
        "other_reflection": 1,
        "pass_at_2": 2,
    }
    assert not any(made.abstentions.values())
    assert made.no_answers == {
        "first_try": {"content filter": 1},
        "second_try": {"refusal": 1},
        "other_reflection": {"content filter": 1},
    }
    assert made.to_json()["no_answers"] == made.no_answers
    assert "no_answers" not in figures([episode(P)]).to_json()


def test_texts_that_met_the_token_limit_are_counted_by_what_they_are() -> None:
    episode = make_episode(failed("wrong"), passed())
    segments = [replace(each, is_cut_off=each.role in ("attempt", "retry")) for each in episode.segments]
    made = figures([episode, replace(episode, segments=tuple(segments))])
    assert made.cut_off == {"first_try": (1, 2), "second_try": (1, 2)}
    assert made.to_json()["cut_off"] == {"first_try": (1, 2), "second_try": (1, 2)}
    assert "cut_off" not in figures([episode]).to_json()
