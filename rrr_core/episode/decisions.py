"""Decisions whether to retry that are made without an oracle: as in use, where no verifier knows the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from rrr_core.records import COUNT, TEXT, Kind, Record

Choice = Literal["keep", "retry", "undecided"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a decider made of a first answer. One that could not decide keeps it."""

    choice: Choice
    tokens: int | None = 0
    """Tokens that the evaluated model wrote for it; None if the engine does not count them."""
    category: str = ""
    """Why it is undecided: `no answer`, `unreadable`, or the kind of a withheld verdict, such as `exception`. Also
    `cut off` if the first try ended within its thought, so that nobody was asked."""
    detail: str = ""
    """One line for a person. It may quote a model, so it is hostile text."""

    @property
    def retries(self) -> bool:
        return self.choice == "retry"

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in DECISION_KEYS}

    @classmethod
    def from_json(cls, record: Any, place: str) -> Decision:
        """The decision that `to_json` wrote. Raises DataError naming `place`."""
        fields = Record(record, place, "a decision")
        fields.has_only(DECISION_KEYS)
        return cls(
            fields.get("choice", _CHOICE),
            fields.get("tokens", COUNT, None),
            fields.get("category", TEXT, ""),
            fields.get("detail", TEXT, ""),
        )


DECISION_KEYS = tuple(Decision.__dataclass_fields__)
_CHOICE = Kind("keep, retry or undecided", lambda value: isinstance(value, str) and value in get_args(Choice))
