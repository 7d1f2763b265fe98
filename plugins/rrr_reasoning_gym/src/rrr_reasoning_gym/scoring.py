"""The verdict on a text: reasoning-gym's scorer, which must give the full score, behind the guards it lacks."""

from __future__ import annotations

import functools
import json
from typing import Any

from rrr_core import Row, Verdict, failed, passed
from rrr_reasoning_gym import answers, guards, metadata, options

NO_ANSWER, MALFORMED, WRONG = "no answer", guards.MALFORMED, guards.WRONG
CATEGORIES = (NO_ANSWER, MALFORMED, WRONG)
FULL_SCORE = 1.0


def verify(dataset: str, row: Row, text: str) -> Verdict:
    """Passed if the final answer gets the full score; partial credit is a failure, and the detail gives the score.

    Raises whatever the scorer raises: the core then withholds the verdict.
    """
    answer = answers.final_answer(text)
    if answer is None:
        return failed(NO_ANSWER, f"no {answers.OPENING}…{answers.CLOSING}")
    if (verdict := guards.guarded(dataset, row, answer)) is not None:
        return verdict
    score = scored(dataset, row, answer)
    if score >= FULL_SCORE:
        return passed()
    return failed(WRONG, f"a score of {score:.3g}, and {FULL_SCORE:g} is full: {answer[:200]}")


def reward(dataset: str, row: Row, text: str, verdict: Verdict) -> float | None:
    """The scorer's partial credit for an answer that was judged wrong, below 1; None for all others.

    What a guard refuses gets none: the scorer would give some of it the full score.
    """
    answer = answers.final_answer(text)
    if verdict.is_passed or answer is None or guards.guarded(dataset, row, answer) is not None:
        return None
    return scored(dataset, row, answer)


def scored(dataset: str, row: Row, answer: str) -> float:
    """The scorer's number for a final answer that no guard refuses."""
    entry = {"question": row["question"], "answer": row["answer"], "metadata": metadata.decode(row["metadata"])}
    return float(scorer(dataset, json.dumps(row["config"], sort_keys=True)).score_answer(answer, entry))


@functools.lru_cache(maxsize=8)
def scorer(dataset: str, config: str) -> Any:
    """The data set that scores, configured as the row's was; no scorer uses its seed or size."""
    return options.configured(dataset, {**json.loads(config), "seed": "0", "size": "10"})
