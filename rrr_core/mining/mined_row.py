"""A mined row: the outcome of all tries at one row, and of reflecting on those that failed. One line of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rrr_core.episode import Failure
from rrr_core.mining.settings import MineSettings
from rrr_core.records import COUNT, LIST, OBJECT, Record
from rrr_core.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Reflected:
    """What came of reflecting on a row's failures, with `--rounds` above 1."""

    reflections: int = 0
    """Reflections written; one that is empty or cut off gets no retry."""
    retries: int = 0
    """Retries judged, withheld verdicts included."""
    passes: int = 0
    tokens: int | None = 0
    """Sampled in reflections and retries; None if the engine does not count tokens."""
    withheld: tuple[Verdict, ...] = ()
    """The withheld verdicts, and why a reflection or a retry has no answer."""
    failures: tuple[Failure, ...] = ()
    """Those that end in a failed retry, by try and round."""

    @property
    def unanswered(self) -> int:
        """Reflections and retries without an answer."""
        return sum(verdict.is_unanswered for verdict in self.withheld)

    @property
    def abstentions(self) -> int:
        """Verdicts that the verifier withheld."""
        return len(self.withheld) - self.unanswered

    def to_json(self) -> dict[str, Any]:
        return {
            "reflections": self.reflections,
            "retries": self.retries,
            "passes": self.passes,
            "tokens": self.tokens,
            "withheld": [verdict.to_json() for verdict in self.withheld],
            "failures": [failure.to_json() for failure in self.failures],
        }

    @classmethod
    def from_json(cls, record: Any, place: str) -> Reflected:
        """What `to_json` wrote. Raises DataError naming `place`."""
        fields = Record(record, place, "what came of reflecting")
        fields.has_only(tuple(cls.__dataclass_fields__))
        found = cls(
            reflections=fields.get("reflections", COUNT),
            retries=fields.get("retries", COUNT),
            passes=fields.get("passes", COUNT),
            tokens=fields.get("tokens", COUNT, None),
            withheld=_withheld(fields),
            failures=tuple(Failure.from_json(each, place) for each in fields.get("failures", LIST)),
        )
        if found.retries > found.reflections:
            fields.refuse("retries", f"at most {found.reflections}, one for each reflection")
        if found.passes + found.abstentions + len(found.failures) != found.retries:
            fields.refuse("retries", "its passes, withheld verdicts and failures together")
        return found


@dataclass(frozen=True, slots=True)
class MinedRow:
    """The tries at one row of the train split."""

    row_index: int
    tries: int
    """Tries that count: up to the last wanted failure."""
    passes: int
    tokens: int | None
    """Sampled in the tries that count; None if the engine does not count tokens."""
    sampled: int | None
    """All tries sampled, including those discarded; None if written by an older version that did not count them."""
    sampled_tokens: int | None
    withheld: tuple[Verdict, ...]
    """The withheld verdicts."""
    failures: tuple[Failure, ...]
    cut_off: int = 0
    """Tries that count and met the token limit; not counted by older versions."""
    reflected: Reflected | None = None
    """None if no round was played."""

    @property
    def all_failures(self) -> list[Failure]:
        """Each failing attempt, and after it those of its retries that failed."""
        later = () if self.reflected is None else self.reflected.failures
        return [each for one in self.failures for each in (one, *(x for x in later if x.try_index == one.try_index))]

    @property
    def abstentions(self) -> int:
        """Tries without a verdict: the verifier withheld it, or there was no answer."""
        return len(self.withheld)

    @property
    def unanswered(self) -> list[str]:
        """Why tries had no answer, which is nobody's failure."""
        return [verdict.detail for verdict in self.withheld if verdict.is_unanswered]

    def is_open(self, settings: MineSettings) -> bool:
        """Whether the row may still be tried."""
        return is_open(self.tries, self.failures, self.withheld, settings)

    def to_json(self) -> dict[str, Any]:
        return {
            "row_index": self.row_index,
            "tries": self.tries,
            "passes": self.passes,
            "abstentions": self.abstentions,
            "tokens": self.tokens,
            "sampled": self.sampled,
            "sampled_tokens": self.sampled_tokens,
            **({"cut_off": self.cut_off} if self.cut_off else {}),
            "withheld": [verdict.to_json() for verdict in self.withheld],
            "failures": [failure.to_json() for failure in self.failures],
            **({} if self.reflected is None else {"reflected": self.reflected.to_json()}),
        }

    @classmethod
    def from_json(cls, record: Any, place: str) -> MinedRow:
        """The mined row that `to_json` of this or an older version wrote. Raises DataError naming `place`."""
        fields = Record(record, place, "a mined row")
        fields.has_only(KEYS)
        reflected = fields.get("reflected", OBJECT, None)
        row = cls(
            row_index=fields.get("row_index", COUNT),
            tries=fields.get("tries", COUNT),
            passes=fields.get("passes", COUNT),
            tokens=fields.get("tokens", COUNT, None),
            sampled=fields.get("sampled", COUNT, None),
            sampled_tokens=fields.get("sampled_tokens", COUNT, None),
            withheld=_withheld(fields),
            failures=tuple(Failure.from_json(each, place) for each in fields.get("failures", LIST)),
            cut_off=fields.get("cut_off", COUNT, 0),
            reflected=None if reflected is None else Reflected.from_json(reflected, place),
        )
        if fields.get("abstentions", COUNT) != row.abstentions:
            fields.refuse("abstentions", f"{row.abstentions}, as many as are withheld")
        if row.passes + row.abstentions + len(row.failures) > row.tries:
            fields.refuse("tries", "at least its passes, abstentions and failures together")
        places = [failure.try_index for failure in row.failures]
        if any(failure.row_index != row.row_index for failure in row.all_failures):
            fields.refuse("failures", f"failures of row {row.row_index}")
        if places != sorted(set(places)) or any(index >= row.tries for index in places):
            fields.refuse("failures", "failures of different tries, in order")
        if row.reflected is not None:
            later = [(failure.try_index, len(failure.episode.rounds)) for failure in row.reflected.failures]
            if later != sorted(set(later)) or any(index not in places or not depth for index, depth in later):
                fields.refuse("reflected", "failures after different rounds of the failing attempts, in order")
        return row


def _withheld(fields: Record) -> tuple[Verdict, ...]:
    """Abstentions. Raises DataError for other verdicts."""
    withheld = tuple(Verdict.from_json(each, fields.place) for each in fields.get("withheld", LIST))
    if not all(verdict.is_abstained for verdict in withheld):
        fields.refuse("withheld", "a list of abstentions")
    return withheld


KEYS = (*MinedRow.__dataclass_fields__, "abstentions")


def is_open(tries: int, failures: Sequence[object], withheld: Sequence[object], settings: MineSettings) -> bool:
    """Whether a row with these tries, failures and withheld verdicts may still be tried."""
    return len(failures) < settings.failures_per_row and tries < settings.tries and not withheld
