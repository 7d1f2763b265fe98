"""Segments: the parts of an episode, and their JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from rrr_core.episode.calls import calls_from_json, calls_to_json
from rrr_core.errors import DataError
from rrr_core.hookspecs import Call
from rrr_core.records import COUNT, COUNTS, FLAG, LIST, MESSAGES, NUMBER, NUMBERS, OBJECT, TEXT, TEXTS, Kind, Record
from rrr_core.verdicts import Verdict

Messages = tuple[dict[str, str], ...]
Role = Literal["prompt", "observation", "attempt", "reflection", "retry"]
ROLES: tuple[Role, ...] = get_args(Role)
READ: frozenset[Role] = frozenset({"prompt", "observation"})
"""Roles of what the model reads; it wrote the others."""
ANSWERS: frozenset[Role] = frozenset({"attempt", "retry"})
"""Roles that a verifier judges."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of an episode: messages that the model read, or a text that it wrote.

    Raises ValueError for what is impossible: an unknown role, a verdict on what was read, log-probabilities of other
    ids.
    """

    role: Role
    messages: Messages = ()
    """What was read; empty if it was not kept."""
    text: str = ""
    """What was written: the answer, without its thought."""
    thought: str = ""
    """What the model thought before its answer. No verifier sees it."""
    calls: tuple[Call, ...] = ()
    """The tools that an action calls, after its text."""
    judged: str | None = None
    """Of the last action of a course: what its last step gave to be judged, empty if the course ended before that. None
    where the text itself is the answer."""
    ids: tuple[int, ...] = ()
    """Of a written segment, its sampled ids, end token included; of a read one, all ids since the last segment that has
    any. The ids of an episode's segments, concatenated, are thus what the network saw. Empty if not kept, and where the
    chat template rewrote earlier turns, so that what follows does not continue them."""
    length: int | None = None
    """Tokens of a written segment, end token included; None if the engine does not count them."""
    is_cut_off: bool = False
    """Whether the token limit ended it."""
    verdict: Verdict | None = None
    """Of an answer; or of a reflection that gets no retry: in training an empty or cut-off one has failed; one that the
    engine had no answer to is set aside."""
    logprobs: tuple[float, ...] | None = None
    """The log-probability each id was drawn with, if something other than the policy drew it."""
    is_trained: bool = False
    """Whether its tokens get the reward."""
    token_texts: tuple[str, ...] | None = None
    """The trained tokens as text, one by one, for the report."""
    advantage: float | None = None
    """The advantage that weighed its tokens, if the episode's segments have their own."""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"a segment's role is one of {', '.join(ROLES)}, not {self.role!r}")
        if self.role in READ:  # in plain conditions, since every text that is drawn makes segments
            written = self.text or self.calls or self.verdict or self.is_trained
            if written or self.judged is not None or self.logprobs is not None or self.advantage is not None:
                raise ValueError(
                    f"a {self.role} is read: it has messages, and no text, verdict, reward or log-probability"
                )
        elif self.messages:
            raise ValueError(f"a {self.role} is written: it has a text, and no messages")
        elif self.ids and self.length is None:
            object.__setattr__(self, "length", len(self.ids))
        if self.logprobs is not None and len(self.logprobs) != len(self.ids):
            raise ValueError(f"{len(self.logprobs)} log-probabilities for {len(self.ids)} ids")

    @property
    def is_read(self) -> bool:
        """Whether the model read it, rather than wrote it."""
        return self.role in READ

    @property
    def answer(self) -> str:
        """What a verifier judges: the text, or what a course of actions came to."""
        return self.text if self.judged is None else self.judged

    def to_json(self) -> dict[str, Any]:
        """The segment as JSON values, without absent fields; messages are not copied."""
        record: dict[str, Any] = {"role": self.role}
        if self.is_read:
            record["messages"] = self.messages
        else:
            record["text"] = self.text
        for name in ("thought", "ids", "is_cut_off", "is_trained"):
            if value := getattr(self, name):
                record[name] = value
        if self.calls:
            record["calls"] = calls_to_json(self.calls)
        for name in ("judged", "length", "logprobs", "token_texts", "advantage"):
            if (value := getattr(self, name)) is not None:
                record[name] = value
        if self.verdict is not None:
            record["verdict"] = self.verdict.to_json()
        return record

    @classmethod
    def from_json(cls, record: Any, place: str) -> Segment:
        """The segment that `to_json` wrote. Raises DataError naming `place`."""
        fields = Record(record, place, "a segment")
        fields.has_only(SEGMENT_KEYS)
        role = fields.get("role", _ROLE)
        read = role in READ
        verdict = fields.get("verdict", OBJECT, None)
        try:
            return cls(
                role,
                messages=tuple(fields.get("messages", MESSAGES)) if read or "messages" in fields else (),
                text=fields.get("text", TEXT) if not read or "text" in fields else "",
                thought=fields.get("thought", TEXT, ""),
                calls=calls_from_json(fields.get("calls", LIST, [])),
                judged=fields.get("judged", TEXT, None),
                ids=tuple(fields.get("ids", COUNTS, ())),
                length=fields.get("length", COUNT, None),
                is_cut_off=fields.get("is_cut_off", FLAG, False),
                verdict=None if verdict is None else Verdict.from_json(verdict, place),
                logprobs=_tuple(fields.get("logprobs", NUMBERS, None)),
                is_trained=fields.get("is_trained", FLAG, False),
                token_texts=_tuple(fields.get("token_texts", TEXTS, None)),
                advantage=fields.get("advantage", NUMBER, None),
            )
        except ValueError as error:
            raise DataError(f"{place}: {error}.") from None


SEGMENT_KEYS = tuple(Segment.__dataclass_fields__)
_ROLE = Kind(f"one of {', '.join(ROLES)}", lambda value: isinstance(value, str) and value in ROLES)


def _tuple(values: list[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)
