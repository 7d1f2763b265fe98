"""Episodes: what their segments may be, and their JSON, now and as rrr 0.1 wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrr_core.episode import ANSWERS, READ, Decision, Episode, Failure, Segment
from rrr_core.errors import DataError
from rrr_core.verdicts import Verdict, abstained, failed, passed
from tests.episodes import make_episode, make_failure

PLACE = "episodes.jsonl:3"
ASKED = ({"role": "user", "content": "1 + 1?"},)
WRONG = {"outcome": "failed", "category": "sum", "detail": "3 is not 2"}
RIGHT = {"outcome": "passed", "category": "", "detail": ""}
FLAT = {
    "row_index": 4,
    "row": {"a": 1},
    "prompt": list(ASKED),
    "attempt": "3",
    "verdict": WRONG,
    "reflection_prompt": "Why?",
    "reflection": "I miscounted.",
    "reflection_tokens": 5,
    "retry_prompt": "1 + 1?",
    "retry": "2",
    "retry_verdict": RIGHT,
    "controls": {"no_reflection": ["3", WRONG]},
    "step": None,
    "reward": None,
    "advantage": None,
    "token_texts": None,
}
"""An episode as rrr 0.1 wrote it."""


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


VERDICTS = (passed(), failed("sum", "3 is not 2"), abstained("timeout", "5 s"))
HOSTILE = "\u2028\ud800</script>\x1b[2J"
READ_SEGMENTS = ((), ASKED, ({"role": HOSTILE, "content": HOSTILE}, *ASKED))


def written(role: str, draw: Any) -> Segment:
    ids = draw(st.sampled_from([(), (5,), (5, 6, 2)]))
    verdict = draw(st.sampled_from(VERDICTS if role in ANSWERS else (None, VERDICTS[1])))
    flags = draw(st.integers(0, 15))
    return Segment(
        role,  # type: ignore[arg-type]
        text=HOSTILE * (flags & 1),
        thought=HOSTILE * (flags >> 1 & 1),
        ids=ids,
        length=len(ids) or draw(st.sampled_from([None, 0, 7])),
        is_cut_off=bool(flags & 4),
        verdict=verdict,
        logprobs=tuple(-0.1 * token for token in ids) if flags & 8 else None,
        is_trained=bool(flags & 8),
        token_texts=("a", HOSTILE) if flags & 4 else None,
        advantage=-0.5 if flags & 2 else None,
    )


@st.composite
def episodes(draw: Any) -> Episode:
    roles = [
        "prompt",
        "attempt",
        *["prompt", "reflection", draw(st.sampled_from(sorted(READ))), "retry"] * draw(ROUNDS),
    ]
    segments = [
        Segment(role, draw(st.sampled_from(READ_SEGMENTS)), ids=draw(st.sampled_from([(), (1, 2)])))  # type: ignore[arg-type]
        if role in READ
        else written(role, draw)
        for role in roles
    ]
    controls = draw(
        st.sampled_from(
            [{}, {"no_reflection": ((HOSTILE, passed()),), "x": (("", VERDICTS[2]), (HOSTILE, VERDICTS[0]))}]
        )
    )
    step, reward, advantage = draw(st.sampled_from([(None, None, None), (3, 1.0, -0.5), (0, 0.0, 0.0), (3, None, 0.0)]))
    decisions = draw(
        st.sampled_from([{}, {HOSTILE: Decision("undecided", None, HOSTILE, HOSTILE), "x": Decision("keep", 0)}])
    )
    asked = draw(st.sampled_from(READ_SEGMENTS))
    unneeded = draw(st.sampled_from([(), (Segment("prompt", asked), written("reflection", draw))]))
    trained = (step, reward, advantage)
    return Episode(draw(st.integers(0, 99)), {"a": HOSTILE}, tuple(segments), controls, *trained, decisions, unneeded)


ROUNDS = st.integers(0, 3)


@given(episodes())
def test_an_episode_of_any_length_survives_its_json(episode: Episode) -> None:
    assert Episode.from_json(through_json(episode.to_json()), PLACE) == episode


def test_a_failure_survives_its_json() -> None:
    failure = make_failure(7, "3", failed("sum"), row={"a": 1}, prompt=ASKED, try_index=2)
    assert Failure.from_json(through_json(failure.to_json()), PLACE) == failure
    assert failure.failure_id == "7-2"


def test_an_episode_of_0_1_is_read_as_segments() -> None:
    episode = Episode.from_json(FLAT, PLACE)
    assert [segment.role for segment in episode.segments] == [
        *("prompt", "attempt", "prompt", "reflection", "prompt", "retry")
    ]
    assert (episode.prompt, episode.attempt.text, episode.verdict.category) == (ASKED, "3", "sum")
    (one,) = episode.rounds
    assert (one.reflection.text, one.reflection.length, one.retry and one.retry.text) == ("I miscounted.", 5, "2")
    assert episode.second_verdict == episode.last_verdict == passed()
    assert episode.controls == {"no_reflection": (("3", Verdict(**WRONG)),)}  # type: ignore[arg-type]
    assert episode.segments[2].messages == ({"role": "user", "content": "Why?"},)


def test_an_episode_of_0_1_that_was_right_at_once_has_two_segments() -> None:
    later = ("reflection_prompt", "reflection", "reflection_tokens", "retry_prompt", "retry", "retry_verdict")
    episode = Episode.from_json({**FLAT, **dict.fromkeys(later), "verdict": RIGHT, "controls": {}}, PLACE)
    assert len(episode.segments) == 2
    assert episode.second_verdict is None


def test_a_training_episode_of_0_1_without_a_retry_keeps_its_failed_verdict() -> None:
    record = {**FLAT, "retry": None, "retry_prompt": None, "retry_verdict": WRONG, "token_texts": ["I", " mis"]}
    episode = Episode.from_json(record, PLACE)
    (one,) = episode.rounds
    assert one.retry is None
    assert one.verdict == episode.last_verdict == Verdict(**WRONG)
    assert one.reflection.is_trained
    assert one.reflection.token_texts == ("I", " mis")
    assert [segment.text for segment in episode.answers] == ["3"]


def test_a_failure_in_the_short_form_is_read_as_segments() -> None:
    record = {"failure_id": "4-1", "row_index": 4, "row": {"a": 1}, "prompt": list(ASKED), "attempt": "3"}
    failure = Failure.from_json({**record, "verdict": WRONG, "try_index": 1}, PLACE)
    assert (failure.row, failure.prompt, failure.attempt, failure.try_index) == ({"a": 1}, ASKED, "3", 1)
    assert "attempt" not in failure.to_json()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Segment("thought"), "role is one of"),  # type: ignore[arg-type]
        (lambda: Segment("prompt", text="x"), "a prompt is read"),
        (lambda: Segment("observation", verdict=passed()), "an? observation is read"),
        (lambda: Segment("retry", ASKED), "a retry is written"),
        (lambda: Segment("retry", ids=(1, 2), logprobs=(-1.0,)), "1 log-probabilities for 2 ids"),
        (lambda: Episode(0, {}, ()), "begins with a prompt"),
        (lambda: Episode(0, {}, (Segment("attempt"),)), "begins with a prompt"),
        (lambda: make_episode(passed()).extended(Segment("retry")), "a retry, follows a attempt"),
    ],
)
def test_an_impossible_segment_or_episode_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_a_controls_answers_are_a_pair_for_one_round_and_a_list_of_pairs_for_several() -> None:
    right, wrong = ("1", Verdict(**RIGHT)), ("3", Verdict(**WRONG))  # type: ignore[arg-type]
    for answers, written in (((wrong,), ["3", WRONG]), ((wrong, right), [["3", WRONG], ["1", RIGHT]])):
        episode = make_episode(failed("x"), passed(), prompt=ASKED, controls={"x": answers})
        record = through_json(episode.to_json())
        assert record["controls"] == {"x": written}
        assert Episode.from_json(record, PLACE).controls == {"x": answers}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"segments": 3}, "'segments' must be a list, found 3"),
        ({"segments": []}, "an episode begins with a prompt"),
        ({"segments": [{"role": "prompt", "messages": []}]}, "a prompt and a judged answer at least"),
        ({"segments": [{"role": "guess", "text": ""}]}, "'role' must be one of prompt, "),
        ({"segments": [{"role": "prompt"}]}, "'messages' must be a list of messages"),
        ({"row": []}, "'row' must be a JSON object"),
        ({"note": 1}, "an episode has no 'note'"),
        ({"controls": {"x": ["a"]}}, "'controls' must be"),
        ({"controls": {"x": []}}, "'controls' must be"),
        ({"controls": {"x": {"a": 1}}}, "'controls' must be"),
        ({"controls": {"x": [["a", RIGHT], ["a"]]}}, "'controls' must be"),
        ({"controls": {"x": [["a", RIGHT], "a"]}}, "'controls' must be"),
        ({"controls": {"x": [["a", RIGHT], [1, RIGHT]]}}, "'controls' must be"),
        ({"reward": "1"}, "'reward' must be a number or null"),
    ],
)
def test_a_broken_record_is_refused_with_its_place(change: dict[str, Any], words: str) -> None:
    record = through_json(make_episode(failed("x"), passed(), prompt=ASKED).to_json())
    with pytest.raises(DataError, match=words) as error:
        Episode.from_json({**record, **change}, PLACE)
    assert str(error.value).startswith(f"{PLACE}: ")
    assert "\n" not in str(error.value)
