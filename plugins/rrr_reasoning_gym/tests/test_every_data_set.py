"""What holds for each of the data sets: the right answer passes, even after storage, and others fail."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
from rrr_reasoning_gym import answers, examples, gold, maker, scoring, upstream

DATASETS = upstream.datasets()


@functools.cache
def first_row(dataset: str) -> str:
    return json.dumps(next(maker.rows(dataset, "test", {"size": "60"})))


def row_of(dataset: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(first_row(dataset))
    return row


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_right_answer_is_known_and_passes_for_the_stored_row(dataset):
    row = row_of(dataset)
    right = gold.gold_text(dataset, row)
    assert right is not None
    assert scoring.verify(dataset, row, f"So: {right}").is_passed


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("", scoring.NO_ANSWER),
        ("<answer>", scoring.NO_ANSWER),
        (answers.tagged(examples.SHRUG), None),
        (answers.tagged(""), None),
        (answers.tagged("9" * 100_000), scoring.MALFORMED),
        (answers.tagged("[" * 5_000), scoring.MALFORMED),
    ],
    ids=["nothing", "an open tag", "a shrug", "empty tags", "many digits", "many brackets"],
)
def test_an_answer_to_nothing_fails(dataset, text, category):
    verdict = scoring.verify(dataset, row_of(dataset), text)
    assert verdict.is_failed
    assert verdict.category in ([category] if category else scoring.CATEGORIES)


@pytest.mark.parametrize("dataset", DATASETS)
def test_scoring_does_not_change_the_row(dataset):
    row = row_of(dataset)
    scoring.verify(dataset, row, str(gold.gold_text(dataset, row)))
    assert row == row_of(dataset)


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_question_does_not_answer_itself(dataset):
    row = row_of(dataset)
    assert scoring.verify(dataset, row, answers.prompt(row["question"])).is_failed


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_wrong_answer_is_paid_less_than_the_right_one_and_a_guarded_one_nothing(dataset):
    row = row_of(dataset)
    right = str(gold.gold_text(dataset, row))
    assert scoring.reward(dataset, row, right, scoring.verify(dataset, row, right)) is None
    for text in ("", answers.tagged("9" * 100_000), answers.tagged("[" * 5_000)):
        assert scoring.reward(dataset, row, text, scoring.verify(dataset, row, text)) is None
    text = answers.tagged(examples.SHRUG)
    paid = scoring.reward(dataset, row, text, scoring.verify(dataset, row, text))
    assert paid is None or 0 <= paid < 0.5
