"""The figures of deciding without an oracle are those counted by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rrr_core.episode import Decision, Episode, Segment
from rrr_core.evaluation.statistics import paired_difference, wilson
from rrr_core.evaluation.without_oracle import answered, decider_figures
from rrr_core.verdicts import Verdict, abstained, failed, no_answer, passed
from tests.episodes import AGAIN, REFLECT, make_episode

KEEP, RETRY, UNDECIDED = Decision("keep", 3), Decision("retry", 3), Decision("undecided", 3, "unreadable", "hm")
LENGTHS = {"attempt": 10, "reflection": 20, "retry": 5}


def a_row(first: Verdict, second: Verdict | None, decision: Decision = KEEP, **lengths: int | None) -> Episode:
    """A row with both answers; after a right first answer the second try is the unneeded one."""
    long = {**LENGTHS, **lengths}
    reflected: list[Any] = [REFLECT, Segment("reflection", text="so", length=long["reflection"]), AGAIN]
    retried = [*reflected, Segment("retry", text="r", length=long["retry"], verdict=second)] if second else []
    tried = (Segment("prompt"), Segment("attempt", text="a", length=long["attempt"], verdict=first))
    is_right = first.is_passed
    return Episode(
        0,
        {},
        (*tried, *(() if is_right else retried)),
        decisions={"d": decision},
        unneeded=tuple(retried) if is_right else (),
    )


WORLD = [
    *[a_row(passed(), passed(), KEEP)] * 4,
    *[a_row(passed(), passed(), RETRY)] * 3,
    *[a_row(passed(), failed("x"), RETRY)] * 2,
    *[a_row(passed(), failed("x"), UNDECIDED)] * 1,
    *[a_row(failed("x"), passed(), RETRY)] * 5,
    *[a_row(failed("x"), passed(), KEEP)] * 2,
    *[a_row(failed("x"), failed("x"), RETRY)] * 3,
]
"""Twenty rows, ten right at first; the oracle ends with seventeen right."""


def figures_of(episodes: list[Episode]) -> Any:
    return decider_figures([row for row in map(answered, episodes) if row is not None])


def test_a_planted_world_gives_the_figures_counted_by_hand() -> None:
    found = figures_of(WORLD)
    assert list(found) == ["oracle", "always", "d"]
    decided = found["d"]
    assert decided.rows == 20
    assert decided.undecided == wilson(1, 20)
    assert decided.retried_right == wilson(5, 10)
    assert decided.retried_wrong == wilson(8, 10)
    assert decided.right_to_wrong == wilson(2, 20)
    assert decided.wrong_to_right == wilson(5, 20)
    assert decided.right == wilson(13, 20)
    assert decided.gain == paired_difference(both=8, only_first=2, only_second=5, neither=5)
    assert decided.lost == paired_difference(both=13, only_first=0, only_second=4, neither=3)


def test_the_oracle_retries_the_wrong_rows_alone_and_loses_nothing() -> None:
    oracle = figures_of(WORLD)["oracle"]
    assert (oracle.retried_right.passed, oracle.retried_wrong.value) == (0, 1.0)
    assert (oracle.right.passed, oracle.right_to_wrong.passed, oracle.wrong_to_right.passed) == (17, 0, 7)
    assert oracle.lost.value == 0
    assert oracle.undecided.passed == 0


def test_always_retrying_ends_with_the_second_answers() -> None:
    always = figures_of(WORLD)["always"]
    assert (always.right.passed, always.right_to_wrong.passed, always.wrong_to_right.passed) == (14, 3, 7)
    assert always.retried_right.value == always.retried_wrong.value == 1


def test_tokens_are_per_row_and_those_of_the_retries_that_a_decider_asks_for() -> None:
    found = figures_of(WORLD)
    decided = found["d"].tokens
    assert (decided.first_try, decided.deciding, decided.retrying) == pytest.approx((10, 3, 25 * 13 / 20))
    assert decided.total == pytest.approx(13 + 25 * 13 / 20)
    assert found["oracle"].tokens.total == pytest.approx(10 + 25 * 10 / 20)
    assert found["always"].tokens.total == pytest.approx(35)


def test_without_token_counts_there_are_no_tokens() -> None:
    uncounted = Decision("keep", None)
    found = figures_of([a_row(passed(), passed(), uncounted), a_row(failed("x"), passed())])
    assert found["d"].tokens is None
    assert found["oracle"].tokens is not None
    assert figures_of([a_row(passed(), passed(), retry=None)])["always"].tokens is None


@pytest.mark.parametrize(
    "row",
    [
        a_row(abstained("exception", "x"), None),
        a_row(failed("x"), abstained("exception", "x")),
        a_row(passed(), no_answer("content filter")),
        a_row(passed(), None),
        make_episode(failed("x"), passed()),
    ],
    ids=["withheld at first", "withheld at the retry", "no second answer", "none sampled", "no decider"],
)
def test_a_row_without_verdicts_on_both_answers_is_left_out(row: Episode) -> None:
    assert answered(row) is None


def test_the_reflection_that_got_no_answer_leaves_its_row_out() -> None:
    reflection = Segment("reflection", verdict=no_answer("content filter"))
    segments = (Segment("prompt"), Segment("attempt", verdict=passed()))
    assert answered(Episode(0, {}, segments, decisions={"d": KEEP}, unneeded=(REFLECT, reflection))) is None


def test_without_rows_there_are_no_figures() -> None:
    assert decider_figures([]) == {}


def test_shares_of_rows_that_are_not_there_are_none() -> None:
    assert figures_of([a_row(passed(), passed())])["d"].retried_wrong is None
    assert figures_of([a_row(failed("x"), passed())])["d"].retried_right is None


def test_later_rounds_do_not_count_as_the_second_answer_or_its_tokens() -> None:
    once = a_row(failed("x"), failed("x"), RETRY)
    later = [
        *(REFLECT, Segment("reflection", text="so", length=100)),
        *(AGAIN, Segment("retry", text="r", length=100, verdict=passed())),
    ]
    found = answered(once.extended(*later))
    assert found is not None
    assert (found.second, found.retry_tokens) == (False, 25)


def test_an_episode_with_decisions_is_read_as_it_was_written() -> None:
    for episode in WORLD:
        assert Episode.from_json(json.loads(json.dumps(episode.to_json())), "here") == episode


def test_an_episode_without_deciders_has_none_of_their_keys() -> None:
    assert not {"decisions", "unneeded"} & set(make_episode(failed("x"), passed()).to_json())
