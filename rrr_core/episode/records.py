"""The record that flows through every stage: an episode is a row and the segments of the conversation about it.

    prompt → attempt → prompt (reflect) → reflection → prompt (try again) → retry → …

What the model read and what it wrote alternate, however long the episode is. The mask, the log-probabilities, kept
answers, figures and the report are computed from segments alone. docs/run-folders.md describes the JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rrr_core.episode.control_answers import Answered, control_json, read_control
from rrr_core.episode.decisions import Decision
from rrr_core.episode.format_0_1 import upgraded_episode
from rrr_core.episode.segments import ANSWERS, READ, Messages, Segment
from rrr_core.errors import DataError
from rrr_core.records import COUNT, LIST, NUMBER, OBJECT, TEXT, Record
from rrr_core.verdicts import FULL, Verdict


@dataclass(frozen=True, slots=True)
class Round:
    """One reflection and the retry after it."""

    reflection: Segment
    actions: tuple[Segment, ...] = ()
    """What was written for the retry: one text, or the actions of a course; empty if none was generated."""

    @property
    def retry(self) -> Segment | None:
        """The retry; of a course, its last action. None if none was generated."""
        return self.actions[-1] if self.actions else None

    @property
    def written(self) -> tuple[Segment, ...]:
        """The reflection, and what was written for the retry."""
        return (self.reflection, *self.actions)

    @property
    def verdict(self) -> Verdict | None:
        """The retry's; if no retry followed, the reflection's own. None if nothing was judged."""
        return self.reflection.verdict if self.retry is None else self.retry.verdict


@dataclass(frozen=True, slots=True)
class Episode:
    """One row's whole path through mining, a training step, or an evaluation.

    Raises ValueError if its segments are not a conversation, which begins with a prompt, and in which read and written
    segments alternate.
    """

    row_index: int
    """The row's place in its split's fixed order."""
    row: Mapping[str, Any]
    segments: tuple[Segment, ...]
    controls: Mapping[str, tuple[Answered, ...]] = field(default_factory=dict)
    """Control's key (`rrr_core.evaluation.controls`) → its answer and verdict in each round, up to its first pass."""
    step: int | None = None
    """The training step it belongs to."""
    reward: float | None = None
    advantage: float | None = None
    """The group-relative advantage that weighed the trained tokens; None if segments have their own."""
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    """Decider's name (`rrr_core.evaluation.deciding`) → whether it retries the first answer."""
    unneeded: tuple[Segment, ...] = ()
    """The reflection and the retry after a first answer that was right, each with its request: a decider may ask for
    them, and no other figure sees them."""
    task: str | None = None
    """The name of its task, where several are trained together."""

    def __post_init__(self) -> None:
        if not self.segments or self.segments[0].role != "prompt":
            raise ValueError("an episode begins with a prompt")
        for place, segment in enumerate(self.segments):
            if (segment.role in READ) is (place % 2 == 1):
                raise ValueError(f"segment {place}, a {segment.role}, follows a {self.segments[place - 1].role}")

    @property
    def prompt(self) -> Messages:
        """The messages that present the row to the model."""
        return self.segments[0].messages

    @property
    def attempts(self) -> tuple[Segment, ...]:
        """What was written for the first answer: one text, or the actions of a course."""
        return tuple([each for each in self.segments if each.role == "attempt"])

    @property
    def attempt(self) -> Segment:
        """The first answer; of a course of actions, the last of them."""
        return next(each for each in reversed(self.segments) if each.role == "attempt")

    @property
    def acts(self) -> bool:
        """Whether its answers are courses of actions, of which nothing is judged that is empty."""
        return self.attempt.judged is not None

    @property
    def is_full(self) -> bool:
        """Whether it ends where its courses filled the model's context, so that there is no room to reflect."""
        return self.segments[-1].verdict == FULL

    @property
    def first_try(self) -> tuple[Segment, ...]:
        """The segments up to the first answer, that included."""
        last = max(place for place, each in enumerate(self.segments) if each.role == "attempt")
        return self.segments[: last + 1]

    @property
    def last_try(self) -> tuple[Segment, ...]:
        """The answer that the episode ends in: one text, or a course of actions with what it read between them."""
        start = len(self.segments) - 1
        while self.segments[start - 1].role == "observation":
            start -= 2
        return self.segments[start:]

    @property
    def verdict(self) -> Verdict:
        """The first answer's."""
        verdict = self.attempt.verdict
        assert verdict is not None
        return verdict

    @property
    def rounds(self) -> list[Round]:
        """The reflections in order, each with its retry."""
        rounds: list[Round] = []
        for segment in self.segments:
            if segment.role == "reflection":
                rounds.append(Round(segment))
            elif segment.role == "retry" and rounds:
                rounds[-1] = Round(rounds[-1].reflection, (*rounds[-1].actions, segment))
        return rounds

    @property
    def second_verdict(self) -> Verdict | None:
        """Of the second try: the verdict of the first round. None without one."""
        return next((each.verdict for each in self.rounds), None)

    @property
    def last_verdict(self) -> Verdict:
        """The verdict of whatever was judged last, which decides the reward."""
        return next(segment.verdict for segment in reversed(self.segments) if segment.verdict is not None)

    @property
    def answers(self) -> list[Segment]:
        """The judged answers in order; controls are not among them."""
        return [segment for segment in self.segments if segment.role in ANSWERS and segment.verdict is not None]

    @property
    def unneeded_verdict(self) -> Verdict | None:
        """Of the retry after a right answer; of its reflection, if the engine had none to give. None without either."""
        return self.unneeded[-1].verdict if self.unneeded else None

    def extended(self, *segments: Segment) -> Episode:
        """The episode with more segments at its end."""
        return replace(self, segments=(*self.segments, *segments))

    def ending_in(self, **changes: Any) -> Episode:
        """The episode with these fields of its last segment changed."""
        return replace(self, segments=(*self.segments[:-1], replace(self.segments[-1], **changes)))

    def to_json(self) -> dict[str, Any]:
        """The episode as JSON values; the row is not copied."""
        record: dict[str, Any] = {
            "row_index": self.row_index,
            "row": self.row,
            "segments": [segment.to_json() for segment in self.segments],
        }
        if self.controls:
            record["controls"] = {name: control_json(answers) for name, answers in self.controls.items()}
        if self.decisions:
            record["decisions"] = {name: decision.to_json() for name, decision in self.decisions.items()}
        if self.unneeded:
            record["unneeded"] = [segment.to_json() for segment in self.unneeded]
        for name in ("step", "reward", "advantage", "task"):
            if (value := getattr(self, name)) is not None:
                record[name] = value
        return record

    @classmethod
    def from_json(cls, record: Any, place: str) -> Episode:
        """The episode that `to_json` wrote, or rrr 0.1 before segments. Raises DataError naming `place`."""
        fields = Record(record, place, "an episode")
        if "segments" not in fields:
            fields = upgraded_episode(fields)
        fields.has_only(EPISODE_KEYS)
        return read_episode(fields)


EPISODE_KEYS = tuple(Episode.__dataclass_fields__)


def read_episode(fields: Record) -> Episode:
    """The episode in a record that has segments. Raises DataError naming the record's place."""
    segments = tuple(Segment.from_json(each, fields.place) for each in fields.get("segments", LIST))
    controls = fields.get("controls", OBJECT, {})
    try:
        episode = Episode(
            row_index=fields.get("row_index", COUNT),
            row=fields.get("row", OBJECT),
            segments=segments,
            controls={name: read_control(fields, value) for name, value in controls.items()},
            decisions={
                name: Decision.from_json(value, fields.place)
                for name, value in fields.get("decisions", OBJECT, {}).items()
            },
            unneeded=tuple(Segment.from_json(each, fields.place) for each in fields.get("unneeded", LIST, ())),
            step=fields.get("step", COUNT, None),
            reward=fields.get("reward", NUMBER, None),
            advantage=fields.get("advantage", NUMBER, None),
            task=fields.get("task", TEXT, None),
        )
    except ValueError as error:
        raise DataError(f"{fields.place}: {error}.") from None
    if not any(each.role == "attempt" for each in segments) or episode.attempt.verdict is None:
        fields.refuse("segments", "a prompt and a judged answer at least")
    return episode
