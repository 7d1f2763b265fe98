"""One rollout: who gets a retry, and what the others become."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.generation.transformers_backend import load_from
from rrr_core.judging.kept_answers import Stage, kept_answers
from rrr_core.training import rollout as rollout_module
from rrr_core.training.credit import completion_of
from rrr_core.training.records import episode_of
from rrr_core.training.rollout import Rollout, Turn, without_retry
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


class Recording(CoinTask):
    """Keeps the answers that its verifier saw."""

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
def turns(rollout: Rollout, failures: Any) -> list[Turn]:
    return rollout.play([failure for failure in failures for _ in range(4)], (0,))


def is_early(turn: Turn) -> bool:
    return without_retry(turn.reflection, turn.reflection_ended) is not None


def test_an_empty_or_cut_off_reflection_gets_no_retry_and_fails(turns: list[Turn]) -> None:
    early = [turn for turn in turns if is_early(turn)]
    assert {turn.verdict.category for turn in early} == {"no reflection", "reflection cut off"}
    for turn in early:
        assert (turn.retry, turn.retry_ids, turn.between_ids) == (None, [], [])
        assert turn.verdict.reward == 0.0
        assert turn.reflection_ids


def test_every_other_reflection_gets_a_retry_and_a_verdict_of_the_verifier(turns: list[Turn], task: Recording) -> None:
    others = [turn for turn in turns if not is_early(turn)]
    assert len(others) > 10
    assert all(turn.retry is not None and turn.retry_ids and turn.between_ids for turn in others)
    assert [turn.verdict for turn in others] == [CoinTask().verify({}, turn.retry) for turn in others]


def test_the_verifier_sees_the_retries_and_nothing_else(turns: list[Turn], task: Recording) -> None:
    assert task.seen == [turn.retry for turn in turns if not is_early(turn)]


def test_the_other_turns_retries_are_what_they_would_be_if_all_had_one(
    turns: list[Turn], rollout: Rollout, failures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_module, "without_retry", lambda reflection, ended: None)
    whole = rollout.play([failure for failure in failures for _ in range(4)], (0,))
    assert [turn.reflection_ids for turn in whole] == [turn.reflection_ids for turn in turns]
    assert all(turn.retry is not None for turn in whole)
    for turn, always in zip(turns, whole, strict=True):
        if not is_early(turn):
            assert turn == always


def test_a_batch_in_which_no_reflection_ends_is_no_fault(rollout: Rollout, failures: Any, task: Recording) -> None:
    rollout.generator.end_ids = (10**6,)  # type: ignore[attr-defined]
    turns = rollout.play(failures, (0,))
    assert {turn.verdict.category for turn in turns} == {"reflection cut off"}
    assert task.seen == []


@pytest.mark.parametrize("credit", ["reflection", "retry", "all", "placebo"])
def test_a_turn_without_a_retry_has_a_completion_all_the_same(credit: str, turns: list[Turn]) -> None:
    """TRL takes no empty completion."""
    turn = next(turn for turn in turns if is_early(turn))
    completion = completion_of(credit, turn.reflection_ids, turn.between_ids, turn.retry_ids)
    assert completion.ids == turn.reflection_ids
    assert set(completion.mask) == ({0} if credit == "retry" else {1})


def test_an_episode_without_a_retry_holds_no_answer_to_be_judged_again(turns: list[Turn], rollout: Rollout) -> None:
    turn = next(turn for turn in turns if is_early(turn))
    record = episode_of(1, turn, 0.0, 0.0, rollout.generator.tokenizer).to_json()
    assert record["retry"] is None
    stage = Stage("train", (), None)
    assert kept_answers(stage, record, "episodes.jsonl:1") == []
    judged = {**record, "retry": "tails"}
    assert [kept.answer for kept in kept_answers(stage, judged, "episodes.jsonl:1")] == ["tails"]


def test_an_attempt_is_judged_and_counts_its_tokens(rollout: Rollout, failures: Any) -> None:
    first, again = rollout.attempt(failures, (0,)), rollout.attempt(failures, (0,))
    assert first == again != rollout.attempt(failures, (1,))
    assert [attempt.verdict for attempt in first] == [CoinTask().verify({}, attempt.text) for attempt in first]
    assert all(1 <= attempt.tokens <= rollout.settings.max_attempt_tokens for attempt in first)


def test_an_attempt_is_as_long_as_its_setting_allows(rollout: Rollout, failures: Any) -> None:
    rollout.settings = dataclasses.replace(rollout.settings, max_attempt_tokens=2)
    assert max(attempt.tokens for attempt in rollout.attempt(failures, (0,))) == 2
