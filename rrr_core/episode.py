"""The records that flow: row → prompt → attempt → verdict → reflection → retry → verdict → reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rrr_core.verdicts import Verdict

Messages = tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model wrote in answer to one request."""

    text: str
    token_ids: tuple[int, ...] = ()
    """The sampled ids, the end token included where the model wrote one; empty where a server does not tell."""
    finish: str = "stop"
    """`stop`, or `length` where the token limit cut it off."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A row with one failing attempt: what training starts from.

    Stored as one JSON line of a failure set; `failure_id` is `ROW-TRY`.
    """

    failure_id: str
    row_index: int
    """The row's place in its split's fixed order."""
    row: Mapping[str, Any]
    prompt: Messages
    attempt: str
    verdict: Verdict
    try_index: int
    """Which try this was, from 0."""

    def to_json(self) -> dict[str, Any]:
        """The failure as JSON's values; row and messages are not copied, which mining could not afford."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "verdict": {name: getattr(self.verdict, name) for name in self.verdict.__slots__}}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Failure:
        return cls(**{**record, "prompt": tuple(record["prompt"]), "verdict": Verdict(**record["verdict"])})


@dataclass(frozen=True, slots=True)
class Episode:
    """One row's whole way in an evaluation or a training step.

    Of an episode whose first attempt passed or was abstained from, the later fields are None.
    """

    row_index: int
    row: Mapping[str, Any]
    prompt: Messages
    attempt: str
    verdict: Verdict
    reflection_prompt: str | None = None
    reflection: str | None = None
    reflection_tokens: int | None = None
    """Length of the reflection in tokens, its end token included."""
    retry_prompt: str | None = None
    retry: str | None = None
    retry_verdict: Verdict | None = None
    controls: Mapping[str, tuple[str, Verdict]] = field(default_factory=dict)
    """Control's name → its answer and verdict: `no_reflection`, `other_reflection`, `independent`."""
    step: int | None = None
    """The training step that the episode is of."""
    reward: float | None = None
    advantage: float | None = None
    """The group-relative advantage that weighed this reflection's tokens in training."""
    token_texts: tuple[str, ...] | None = None
    """The reflection's tokens as text, one by one, where it was trained."""

    def with_(self, **changes: Any) -> Episode:
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Episode:
        def verdict(value: Mapping[str, Any] | None) -> Verdict | None:
            return None if value is None else Verdict(**value)

        return cls(
            **{
                **record,
                "prompt": tuple(record["prompt"]),
                "verdict": Verdict(**record["verdict"]),
                "retry_verdict": verdict(record.get("retry_verdict")),
                "controls": {
                    name: (answer, Verdict(**judged)) for name, (answer, judged) in record.get("controls", {}).items()
                },
                "token_texts": None if record.get("token_texts") is None else tuple(record["token_texts"]),
            }
        )
