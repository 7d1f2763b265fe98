"""Answers with known verdicts, made from a data set's first row."""

from __future__ import annotations

from collections.abc import Iterator

from rrr_core import Example
from rrr_reasoning_gym import answers, gold, guards, rows, scoring

SHRUG = "I do not know"


def examples(dataset: str) -> Iterator[Example]:
    """The right answer to the first row, wrong ones, and hostile ones."""
    row = next(rows.load(dataset, "train", {}))
    # Built before workers are forked, so they all share what the scorer imports.
    scoring.scorer(dataset, "{}")
    right = gold.gold_text(dataset, row)
    if right is not None:
        yield Example(row, right, "passed", reason="the puzzle's own answer")
        yield Example(row, f"<answer>?</answer> No: {right}", "passed", reason="the last answer counts")
        yield Example(row, right.removeprefix(answers.OPENING), "failed", scoring.NO_ANSWER, "no opening tag")
    yield Example(row, "", "failed", scoring.NO_ANSWER, "nothing was said")
    unread = guards.guarded(dataset, row, SHRUG)
    category = scoring.WRONG if unread is None else unread.category
    yield Example(row, answers.tagged(SHRUG), "failed", category, "no answer to anything")
    long = answers.tagged("9" * 1_000_000)
    yield Example(row, long, "failed", scoring.MALFORMED, "a million digits", hostile=True)
    yield Example(row, answers.OPENING * 100_000, "failed", scoring.NO_ANSWER, "tags never closed", hostile=True)
    deep = answers.tagged("[" * 10_000)
    yield Example(row, deep, "failed", scoring.MALFORMED, "ten thousand brackets", hostile=True)
