"""Verdicts: what a verifier says about an answer, and what the core says when the verifier could not judge it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from rrr_core.records import NUMBER, TEXT, Kind, Record

Outcome = Literal["passed", "failed", "abstained"]
WITHHELD = "withheld"
"""The kind of abstention that is nobody's fault."""
NO_ANSWER = "no answer"
"""The kind of abstention where the engine gave no answer to judge, such as one that a server filtered."""
CUT_OFF = "cut off"
"""The error class of a text that the token limit ended within its thought, and of a course with such an action."""
EMPTY = "empty answer"
"""The error class of a course of actions that came to a blank answer."""
STEP_LIMIT = "step limit"
"""The error class of a course of actions that came to no answer within the limit."""
CONTEXT_FULL = "context full"
"""The error class of a course of actions whose conversation left the model no room to write."""

TOO_LONG = "too long"
"""The error class of a course whose step repeats so long an action that what it gives is not taken."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one answer.

    A plugin only makes `passed()` and `failed(...)`. `abstained` means that the verifier was at fault: the verdict
    enters no reward, no baseline, no failure set and no denominator.
    """

    outcome: Outcome
    category: str = ""
    """A failed verdict's error class, such as `wrong numbers`; an abstention's kind: `exception`, `timeout`,
    `memory`, `crash`, `exit`, `bad verdict`, `bad reward`, `bad step`, `withheld` by a judge that cannot decide, or
    `no answer`."""
    detail: str = ""
    """One line for a person. It may quote the answer, so it is hostile text."""
    score: float | None = None
    """The task's reward for the answer, from 0 to 1 (`rrr_reward`); None if it gave none or was not asked.

    Only `rrr train --reward task` asks. Figures ask `is_passed` alone.
    """

    @property
    def is_passed(self) -> bool:
        return self.outcome == "passed"

    @property
    def is_failed(self) -> bool:
        return self.outcome == "failed"

    @property
    def is_abstained(self) -> bool:
        return self.outcome == "abstained"

    @property
    def is_unanswered(self) -> bool:
        """Whether there was no answer to judge: an abstention that is not the verifier's."""
        return self.is_abstained and self.category == NO_ANSWER

    @property
    def reward(self) -> float | None:
        """The score if there is one, else 1.0 for passed, 0.0 for failed, or None if the verifier abstained."""
        if self.score is not None:
            return self.score
        return {"passed": 1.0, "failed": 0.0, "abstained": None}[self.outcome]

    def to_json(self) -> dict[str, Any]:
        record = {"outcome": self.outcome, "category": self.category, "detail": self.detail}
        return record if self.score is None else {**record, "score": self.score}

    @classmethod
    def from_json(cls, record: Any, place: str) -> Verdict:
        """The verdict that `to_json` wrote. Raises DataError naming `place`."""
        fields = Record(record, place, "a verdict")
        fields.has_only(("outcome", "category", "detail", "score"))
        outcome = fields.get("outcome", _OUTCOME)
        score = fields.get("score", _SCORE, None)
        if score is not None and outcome == "abstained":
            fields.refuse("score", "left out: a withheld verdict has none")
        return cls(outcome, fields.get("category", TEXT, ""), fields.get("detail", TEXT, ""), score)


OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_OUTCOME = Kind("passed, failed or abstained", lambda value: isinstance(value, str) and value in OUTCOMES)
_SCORE = Kind("a number from 0 to 1", lambda value: NUMBER.holds(value) and 0 <= value <= 1)


_PASSED = Verdict("passed")


def passed() -> Verdict:
    """The answer is right."""
    return _PASSED


def failed(category: str, detail: str = "") -> Verdict:
    """The answer is wrong: the error class in a few words, and what was wrong in one line."""
    return Verdict("failed", category, detail)


FULL = failed(CONTEXT_FULL, "the conversation fills the model's context")
"""The verdict on a course that left the model no room to write. For the core only."""


def withheld(detail: str = "") -> Verdict:
    """A judge (a person or a model) cannot decide. For `rrr_judge` and `rrr_combine`; `rrr_verify` raises instead."""
    return Verdict("abstained", WITHHELD, detail)


def abstained(kind: str, detail: str) -> Verdict:
    """The verifier, not the answer, was at fault. For the core only."""
    return Verdict("abstained", kind, detail)


def is_without_verifier(verdict: Verdict, answer: str) -> bool:
    """Whether no verifier was asked, since there was no answer: none came, or none after the thought."""
    return not answer and (verdict.is_unanswered or (verdict.is_failed and verdict.category == CUT_OFF))


def no_answer(why: str) -> Verdict:
    """The engine gave no answer, which is nobody's failure. For the core only."""
    return Verdict("abstained", NO_ANSWER, why)
