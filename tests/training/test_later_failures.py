"""Training from a failure that ends in the failed retry of a mined round."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.conversation import conversation, reflection_conversation
from rrr_core.episode import Failure, Segment
from rrr_core.generation.transformers_backend import load_from
from rrr_core.training.credit import REFLECTION, completion_of
from rrr_core.training.freshness import renew
from rrr_core.training.rollout import Rollout
from rrr_core.training.run import train
from rrr_core.verdicts import failed
from rrr_core.verification import Judge
from tests.training.conftest import CoinTask
from tests.training.test_trainer import lines

pytestmark = pytest.mark.train


def later(failure: Failure) -> Failure:
    """The failure after one mined round that failed again."""
    episode = failure.episode.extended(
        Segment("prompt", ({"role": "user", "content": "Reflect."},)),
        Segment("reflection", text="I said tails.", length=4),
        Segment("prompt", failure.prompt),
        Segment("retry", text="tails again", length=3, verdict=failed("tails")),
    )
    return Failure(f"{failure.failure_id}-1", failure.try_index, episode)


@pytest.fixture
def rollout(model_settings: Any, settings: Any) -> Any:
    with Judge(CoinTask(), 1.0) as judge:
        yield Rollout(CoinTask(), load_from(model_settings, "float32"), judge, settings)


def test_reflections_are_sampled_on_the_whole_conversation_and_alone_are_trained(
    rollout: Rollout, failures: Any
) -> None:
    failure = later(failures[0])
    (episode,) = rollout.play([failure], (0,))
    assert episode.segments[:6] == failure.episode.segments
    messages = reflection_conversation(rollout.task, failure.episode, rollout.engine.model)
    assert messages[:6] == conversation(failure.episode.segments)
    assert episode.segments[6].ids == tuple(rollout.engine.chat.encode_prompt(messages))
    trained = REFLECTION.marked(episode)
    assert [each.is_trained for each in trained.segments] == [place == 7 for place in range(len(trained.segments))]
    completion = completion_of(trained)
    assert completion.ids == list(episode.segments[7].ids)
    assert set(completion.mask) == {1}


def test_a_new_answer_is_a_retry_in_the_same_conversation(rollout: Rollout, failures: Any) -> None:
    asked: list[list[int]] = []
    sample = rollout._sample
    rollout._sample = lambda prompts, *more, **keys: (asked.extend(map(list, prompts)), sample(prompts, *more, **keys))[
        1
    ]  # type: ignore[func-returns-value, method-assign]
    pair = [failures[0], later(failures[0])]
    (first,), (second,) = rollout.attempt(pair, (0,))
    assert (first.role, second.role) == ("attempt", "retry")
    given = [conversation(each.episode.segments[:-1]) for each in pair]
    assert asked == [list(rollout.engine.chat.encode_prompt(messages)) for messages in given]
    assert given[0] == [dict(message) for message in failures[0].prompt]


def test_a_renewed_failure_keeps_its_earlier_rounds(failures: Any) -> None:
    failure = later(failures[0])
    made = Segment("retry", text="tails once more", verdict=failed("tails"))
    (renewal,) = renew([failure], iter(()), lambda tried, number: [(made,)])
    assert renewal.failure.failure_id == failure.failure_id
    assert renewal.failure.episode.segments == (*failure.episode.segments[:-1], made)
    again = type(renewal).from_json(json.loads(json.dumps(renewal.to_json())), "a file:1")
    assert again.failure.attempt == "tails once more"


@pytest.mark.parametrize("changes", [{}, {"on_policy_attempts": True}, {"refresh_every": 1}])
def test_a_run_trains_on_failing_attempts_and_failed_retries_alike(
    tmp_path: Path, model_settings: Any, settings: Any, failures: Any, changes: dict[str, Any]
) -> None:
    few = [each for failure in failures[:2] for each in (failure, later(failure))]
    short = dataclasses.replace(settings, steps=2, **changes)
    train(CoinTask(), few, model_settings, tmp_path, short)
    kept = lines(tmp_path / "episodes.jsonl")
    assert {sum(each["role"] == "reflection" for each in episode["segments"]) for episode in kept} == {1, 2}
