"""Failures: what mining finds and training starts from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rrr_core.episode.format_0_1 import upgraded_failure
from rrr_core.episode.records import EPISODE_KEYS, Episode, read_episode
from rrr_core.episode.segments import ANSWERS, Messages, Segment
from rrr_core.records import COUNT, TEXT, Record
from rrr_core.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Failure:
    """An episode that ends in a failed answer: what training starts from."""

    failure_id: str
    """`ROW-TRY`; `ROW-TRY-ROUND` if it ends in the failed retry of a mined round. Where several tasks are trained
    together, with its task's name before: `TASK/ROW-TRY`."""
    try_index: int
    """Which try at its row this was, counted from 0."""
    episode: Episode
    pass_rate: float | None = field(default=None, compare=False)
    """The share of its row's judged tries that passed, if it was read with its mined row. It is not written."""

    @property
    def row_index(self) -> int:
        return self.episode.row_index

    @property
    def row(self) -> Mapping[str, Any]:
        return self.episode.row

    @property
    def prompt(self) -> Messages:
        return self.episode.prompt

    @property
    def request(self) -> tuple[Segment, ...]:
        """What the failed answer answers: all before it."""
        return self.episode.segments[: -len(self.episode.last_try)]

    @property
    def attempt(self) -> str:
        """The failed answer, as it was judged."""
        return self.episode.segments[-1].answer

    @property
    def verdict(self) -> Verdict:
        return self.episode.last_verdict

    def with_attempt(self, *attempt: Segment) -> Failure:
        """The same failure, ending in another failed answer to what its last one answered: a text or a course."""
        return replace(self, episode=replace(self.episode, segments=(*self.request, *attempt)))

    def to_json(self) -> dict[str, Any]:
        """The failure as JSON values; row and messages are not copied, which mining could not afford."""
        return {"failure_id": self.failure_id, "try_index": self.try_index, **self.episode.to_json()}

    def to_short_json(self) -> dict[str, Any]:
        """The failure in rrr 0.1's form if it is a prompt and an answer; a run's identity is a hash of this."""
        if len(self.episode.segments) > 2 or self.episode.acts:
            return self.to_json()
        return {
            "failure_id": self.failure_id,
            "row_index": self.row_index,
            "row": self.row,
            "prompt": self.prompt,
            "attempt": self.attempt,
            "verdict": self.verdict.to_json(),
            "try_index": self.try_index,
        }

    @classmethod
    def from_json(cls, record: Any, place: str) -> Failure:
        """The failure that `to_json` wrote, or one in the short form. Raises DataError naming `place`."""
        fields = Record(record, place, "a failure")
        if "segments" not in fields:
            fields = upgraded_failure(fields)
        fields.has_only(("failure_id", "try_index", *EPISODE_KEYS))
        failure = cls(fields.get("failure_id", TEXT), fields.get("try_index", COUNT), read_episode(fields))
        last = failure.episode.segments[-1]
        if last.role not in ANSWERS or last.verdict is None or not last.verdict.is_failed:
            fields.refuse("segments", "an episode that ends in a failed answer")
        return failure


def failure_of(
    failure_id: str,
    row_index: int,
    row: Mapping[str, Any],
    prompt: Iterable[Mapping[str, str]],
    attempt: Segment,
    try_index: int,
) -> Failure:
    """A failed first answer to a row."""
    messages = tuple(dict(message) for message in prompt)
    return Failure(failure_id, try_index, Episode(row_index, row, (Segment("prompt", messages), attempt)))
