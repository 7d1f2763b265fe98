"""One rollout: which reflections get a retry, and what becomes of the others."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.chat.format import ChatFormat
from rrr_core.conversation import conversation
from rrr_core.episode import Episode, Segment
from rrr_core.generation.transformers_backend import load_from
from rrr_core.judging.kept_answers import Stage, kept_answers
from rrr_core.training import rollout as rollout_module
from rrr_core.training.credit import CREDITS, completion_of, credit_named
from rrr_core.training.records import as_kept
from rrr_core.training.rollout import Rollout, without_retry
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


class Recording(CoinTask):
    """Records the answers that its verifier saw."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def verify(self, row: Any, answer: str) -> Verdict:
        self.seen.append(answer)
        return super().verify(row, answer)


@pytest.fixture
def task() -> Recording:
    return Recording()


@pytest.fixture
def rollout(task: Recording, model_settings: Any, settings: Any) -> Any:
    with Judge(task, 1.0) as judge:
        yield Rollout(task, load_from(model_settings, "float32"), judge, settings)


@pytest.fixture
def episodes(rollout: Rollout, failures: Any) -> list[Episode]:
    return rollout.play([failure for failure in failures for _ in range(4)], (0,))


def reflection_of(episode: Episode) -> Segment:
    (one,) = episode.rounds
    return one.reflection


def retry_of(episode: Episode) -> Segment | None:
    (one,) = episode.rounds
    return one.retry


def is_early(episode: Episode) -> bool:
    return without_retry(reflection_of(episode)) is not None


def test_an_empty_or_cut_off_reflection_gets_no_retry_and_fails(episodes: list[Episode]) -> None:
    early = [episode for episode in episodes if is_early(episode)]
    assert {episode.last_verdict.category for episode in early} == {"no reflection", "reflection cut off"}
    for episode in early:
        assert retry_of(episode) is None
        assert episode.segments[-1] == reflection_of(episode)
        assert episode.last_verdict.reward == 0.0
        assert reflection_of(episode).ids


def test_every_other_reflection_gets_a_retry_and_a_verdict_of_the_verifier(episodes: list[Episode]) -> None:
    others = [retry_of(episode) for episode in episodes if not is_early(episode)]
    assert len(others) > 10
    assert all(retry is not None and retry.ids for retry in others)
    assert [retry.verdict for retry in others] == [CoinTask().verify({}, retry.text) for retry in others]


def test_the_ids_of_an_episodes_segments_are_what_the_network_saw(episodes: list[Episode], rollout: Rollout) -> None:
    tokenizer = rollout.engine.tokenizer
    for episode in episodes:
        prompt, attempt, request, reflection, *rest = episode.segments
        assert (prompt.ids, attempt.ids) == ((), ())
        assert list(request.ids) == ChatFormat(tokenizer).encode_prompt(conversation(episode.segments[:3]))
        assert reflection.length == len(reflection.ids)
        if rest:
            again, retry = rest
            assert again.ids
            assert retry.ids


def test_the_verifier_sees_the_retries_and_nothing_else(episodes: list[Episode], task: Recording) -> None:
    assert task.seen == [episode.segments[-1].text for episode in episodes if not is_early(episode)]


def test_the_other_episodes_retries_are_the_same_as_if_all_had_one(
    episodes: list[Episode], rollout: Rollout, failures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_module, "without_retry", lambda reflection: None)
    whole = rollout.play([failure for failure in failures for _ in range(4)], (0,))
    assert [reflection_of(episode).ids for episode in whole] == [reflection_of(episode).ids for episode in episodes]
    assert all(retry_of(episode) is not None for episode in whole)
    for episode, always in zip(episodes, whole, strict=True):
        if not is_early(episode):
            assert episode == always


def test_a_batch_in_which_no_reflection_ends_is_not_a_fault(rollout: Rollout, failures: Any, task: Recording) -> None:
    rollout.engine.end_ids = (10**6,)  # type: ignore[attr-defined]
    episodes = rollout.play(failures, (0,))
    assert {episode.last_verdict.category for episode in episodes} == {"reflection cut off"}
    assert task.seen == []


@pytest.mark.parametrize("credit", list(CREDITS))
def test_an_episode_without_a_retry_still_has_a_completion(credit: str, episodes: list[Episode]) -> None:
    """TRL takes no empty completion."""
    episode = next(episode for episode in episodes if is_early(episode))
    completion = completion_of(credit_named(credit).marked(episode))
    assert completion.ids == list(reflection_of(episode).ids)
    assert set(completion.mask) == ({0} if credit in ("retry", "attempt") else {1})
    assert completion.logprobs is None


def test_an_episode_without_a_retry_holds_no_answer_to_be_judged_again(
    episodes: list[Episode], rollout: Rollout
) -> None:
    stage, place = Stage("train", (), None), "episodes.jsonl:1"
    early = next(episode for episode in episodes if is_early(episode))
    other = next(episode for episode in episodes if not is_early(episode))
    records = [as_kept(one, 1, 0.0, 0.0, rollout.engine.tokenizer).to_json() for one in (early, other)]
    kept = [kept_answers(stage, json.loads(json.dumps(record)), place) for record in records]
    assert [[answer.answer for answer in answers] for answers in kept] == [[], [other.segments[-1].text]]


def test_an_attempt_is_judged_and_counts_its_tokens(rollout: Rollout, failures: Any) -> None:
    first, again = rollout.attempt(failures, (0,)), rollout.attempt(failures, (0,))
    assert first == again != rollout.attempt(failures, (1,))
    assert [attempt.verdict for (attempt,) in first] == [CoinTask().verify({}, attempt.text) for (attempt,) in first]
    assert all(1 <= attempt.length <= rollout.settings.max_attempt_tokens for (attempt,) in first)


def test_an_attempt_is_as_long_as_its_setting_allows(rollout: Rollout, failures: Any) -> None:
    rollout.settings = dataclasses.replace(rollout.settings, max_attempt_tokens=2)
    assert max(attempt.length for (attempt,) in rollout.attempt(failures, (0,))) == 2
