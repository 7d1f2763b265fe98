"""Verdicts: what a verifier says of an answer, and what the core says when a verifier could not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from rrr_core.records import TEXT, Kind, Record

Outcome = Literal["passed", "failed", "abstained"]
WITHHELD = "withheld"
"""The kind of an abstention that is nobody's fault."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one answer.

    A plugin makes only `passed()` and `failed(...)`. `abstained` is the core's word for a verifier at fault:
    such a verdict enters no reward, no baseline, no failure set and no denominator.
    """

    outcome: Outcome
    category: str = ""
    """A failed verdict's error class, such as `wrong numbers`; an abstention's kind: `exception`, `timeout`,
    `memory`, `crash`, `exit`, `bad verdict`, or `withheld` by a judge who cannot tell."""
    detail: str = ""
    """One line for a person. It may quote the answer, so it is hostile text."""

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
    def reward(self) -> float | None:
        """1.0, 0.0, or None where the verifier abstained."""
        return {"passed": 1.0, "failed": 0.0, "abstained": None}[self.outcome]

    def to_json(self) -> dict[str, str]:
        return {"outcome": self.outcome, "category": self.category, "detail": self.detail}

    @classmethod
    def from_json(cls, record: Any, place: str) -> Verdict:
        """The verdict that `to_json` wrote. Raises DataError naming `place`."""
        fields = Record(record, place, "a verdict")
        fields.has_only(("outcome", "category", "detail"))
        return cls(fields.get("outcome", _OUTCOME), fields.get("category", TEXT, ""), fields.get("detail", TEXT, ""))


_OUTCOME = Kind("passed, failed or abstained", lambda value: isinstance(value, str) and value in get_args(Outcome))


def passed() -> Verdict:
    """The answer is right."""
    return Verdict("passed")


def failed(category: str, detail: str = "") -> Verdict:
    """The answer is wrong: its error class in a few words, and what was wrong with it in one line."""
    return Verdict("failed", category, detail)


def withheld(detail: str = "") -> Verdict:
    """A judge, a person or a model, cannot tell. For `rrr_judge` and `rrr_combine`; `rrr_verify` raises instead."""
    return Verdict("abstained", WITHHELD, detail)


def abstained(kind: str, detail: str) -> Verdict:
    """The verifier, not the answer, was at fault. For the core alone."""
    return Verdict("abstained", kind, detail)
