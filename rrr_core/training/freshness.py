"""What the groups of a step reflect on: the mined attempts, or newer ones by the current policy.

A failure is mined once, but the policy keeps changing. `--refresh-every K` retries the failures of K steps before the
first of them, `--on-policy-attempts` those of each generation batch. A failure that fails again gets the new attempt.
One that passes is stale, and the next failures in order are tried in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from rrr_core.episode import Failure, Segment
from rrr_core.errors import DataError
from rrr_core.records import COUNT, OBJECT, TEXT, Record
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_numbered_lines
from rrr_core.runs.layout import TrainFolder
from rrr_core.seeds import WHOLE
from rrr_core.training.rollout import Rollout
from rrr_core.training.sampler import FailureOrder
from rrr_core.training.settings import TrainSettings
from rrr_core.verdicts import Verdict

ROUNDS = 4
"""Rounds of attempts for a place: the failure's own, and at most three others' if it is stale."""

Try = Callable[[Sequence[Failure], int], Sequence[Sequence[Segment]]]
"""Gives one judged attempt at each failure, in the round of that number: a text, or a course of actions."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a failure became when it was tried again."""

    failure_id: str
    outcome: str
    """`failed`; `passed`: it is stale; or `abstained`: nothing is known."""
    failure: Failure
    """What to reflect on in its place: this failure or another, with its new attempt; the mined one if none failed."""
    tokens: int
    """Sampled for its place in all rounds."""

    def to_json(self) -> dict[str, Any]:
        return {
            "failure_id": self.failure_id,
            "outcome": self.outcome,
            "failure": self.failure.to_json(),
            "tokens": self.tokens,
        }

    @classmethod
    def from_json(cls, record: Any, place: str) -> Renewal:
        """The renewal that `to_json` wrote. Raises DataError naming `place`."""
        fields = Record(record, place, "a refreshed attempt")
        return cls(
            failure_id=fields.get("failure_id", TEXT),
            outcome=fields.get("outcome", TEXT),
            failure=Failure.from_json(fields.get("failure", OBJECT), place),
            tokens=fields.get("tokens", COUNT),
        )


def renew(
    wanted: Sequence[Failure],
    others: Iterator[Failure],
    attempt: Try,
    has_room: Callable[[Failure], bool] = lambda _: True,
) -> list[Renewal]:
    """Each wanted failure, tried again; for one that passes, failures from `others` are tried until one fails.

    At most `ROUNDS` rounds. If no other fails either, the mined attempt is used, so that steps stay full; so it is in
    place of a new attempt that leaves no room to reflect on it (`has_room`).
    """
    renewals: list[Renewal] = []
    places, tried = list(range(len(wanted))), list(wanted)
    for number in range(ROUNDS):
        if not tried:
            break
        made = attempt(tried, number)
        if not renewals:
            renewals = [
                Renewal(failure.failure_id, _verdict(each).outcome, failure, 0)
                for failure, each in zip(wanted, made, strict=True)
            ]
        for place, failure, each in zip(places, tried, made, strict=True):
            before, fresh = renewals[place], failure.with_attempt(*each)
            tokens = before.tokens + sum(one.length or 0 for one in each)
            stands = not _verdict(each).is_failed or not has_room(fresh)
            renewals[place] = replace(before, failure=before.failure if stands else fresh, tokens=tokens)
        stale = [
            place
            for place, each in zip(places, made, strict=True)
            if _verdict(each).is_passed or (_verdict(each).is_abstained and number > 0)
        ]
        tried = list(islice(others, len(stale)))
        places = stale[: len(tried)]
    return renewals


def _verdict(attempt: Sequence[Segment]) -> Verdict:
    verdict = attempt[-1].verdict
    assert verdict is not None
    return verdict


def stale_share(renewals: Iterable[Renewal]) -> float | None:
    """Share of the judged failures that the policy now passes; None if none was judged."""
    judged = [renewal.outcome == "passed" for renewal in renewals if renewal.outcome != "abstained"]
    return sum(judged) / len(judged) if judged else None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a generation batch reflects on."""

    failures: list[Failure]
    """One for each requested index."""
    stale: float | None = None
    """Share of stale failures; None if nothing was tried again for this batch."""
    tokens: int = 0
    """Sampled in new attempts."""


class Freshness:
    """Chooses what the groups of a batch reflect on: a pure function of weights, seed and step.

    Of several processes, each chooses alike.
    """

    def __init__(
        self,
        failures: Sequence[Failure],
        order: FailureOrder,
        rollout: Rollout,
        settings: TrainSettings,
        folder: Path,
        *,
        writes: bool = True,
        gather: Callable[[list[Any]], list[Any]] = list,
    ) -> None:
        """`gather` concatenates all processes' lists, in every process; one of them writes into `folder`."""
        self.failures, self.order, self.rollout, self.settings, self.folder = failures, order, rollout, settings, folder
        self.writes, self.gather = writes, gather
        self._refreshed: dict[str, Renewal] = {}
        self._refreshed_at: int | None = None
        self._others: Iterator[Failure] = iter(())

    def choose(self, indices: Sequence[int], step: int, forward_pass: int) -> Chosen:
        """What to reflect on, for a generation batch of failures by index, repeated within their groups.

        Raises DataError if the attempts that an earlier call found are missing or damaged.
        """
        every, found = self.settings.refresh_every, Chosen([])
        if every and step // every * every != self._refreshed_at:
            found = self._refresh(step // every * every, step)
        mined = {index: self._standing(self.failures[index]) for index in indices}
        own = {failure.failure_id: failure for failure in mined.values()}
        number = self.order.number(step, forward_pass)
        self._others = self._further(number, self._ids(self.order.batch(number)) | set(own))
        if self.settings.on_policy_attempts:
            renewed = {each.failure_id: each for each in self._tried_now(list(own.values()), step, forward_pass, 0)}
            chosen = [renewed[mined[index].failure_id].failure for index in indices]
            return Chosen(chosen, stale_share(renewed.values()), sum(each.tokens for each in renewed.values()))
        return replace(found, failures=[mined[index] for index in indices])

    def further(
        self, count: int, step: int, forward_pass: int, number: int, *, for_first_tries: bool = False
    ) -> Chosen:
        """Up to `count` failures beyond the generation batch chosen last, none of them given before.

        First tries need no new attempt to reflect on.
        """
        wanted = list(islice(self._others, count))
        if for_first_tries or not self.settings.on_policy_attempts:
            return Chosen(wanted)
        renewed = self._tried_now(wanted, step, forward_pass, number)
        return Chosen([each.failure for each in renewed], tokens=sum(each.tokens for each in renewed))

    def _tried_now(self, wanted: list[Failure], step: int, forward_pass: int, number: int) -> list[Renewal]:
        seed = (self.settings.seed, step, forward_pass, WHOLE, "live", number)
        return self._renewed(wanted, self._others, seed)

    def _renewed(self, wanted: Sequence[Failure], others: Iterator[Failure], seed: tuple[object, ...]) -> list[Renewal]:
        return renew(
            wanted, others, lambda tried, again: self.rollout.attempt(tried, (*seed, again)), self.rollout.has_room
        )

    def _standing(self, failure: Failure) -> Failure:
        renewal = self._refreshed.get(failure.failure_id)
        return failure if renewal is None else renewal.failure

    def _ids(self, indices: Iterable[int]) -> set[str]:
        return {self.failures[index].failure_id for index in indices}

    def _further(self, number: int, taken: set[str]) -> Iterator[Failure]:
        """The failures beyond a generation batch, except those taken."""
        for index in self.order.beyond(number):
            failure = self._standing(self.failures[index])
            if failure.failure_id not in taken:
                taken.add(failure.failure_id)
                yield failure

    def _refresh(self, start: int, step: int) -> Chosen:
        """Get the attempts for the steps from `start`: from the file of an earlier call, or by trying now."""
        path = TrainFolder(self.folder).refreshed(start)
        # One process may write it before another looks.
        if self.gather([path.exists()])[0]:
            renewals = read_renewals(path)
            Digests(self.folder).check(path, "delete the folder that it is in, and train again.")
        elif start == step:
            renewals = self._refreshed_now(start, path)
        else:
            raise DataError(f"{path} is missing, and without it the run cannot resume exactly: use another folder.")
        self._refreshed, self._refreshed_at = {each.failure_id: each for each in renewals}, start
        if start != step:
            return Chosen([])
        return Chosen([], stale_share(renewals), sum(each.tokens for each in renewals))

    def _refreshed_now(self, start: int, path: Path) -> list[Renewal]:
        numbers = self.order.numbers(range(start, min(start + self.settings.refresh_every, self.settings.steps)))
        # A failure that several steps use is tried once.
        wanted = {
            self.failures[index].failure_id: self.failures[index]
            for number in numbers
            for index in self.order.batch(number)
        }
        taken = {failure_id for number in numbers for failure_id in self._ids(self.order.batch(number))}
        self._refreshed = {}
        renewals = self._renewed(
            list(wanted.values()),
            self._further(numbers[-1], taken),
            (self.settings.seed, start, WHOLE, "refresh"),
        )
        if self.writes:
            Digests(self.folder).write_lines(path, ({"process": WHOLE, **each.to_json()} for each in renewals))
        return renewals


def read_renewals(path: Path) -> list[Renewal]:
    """The attempts in a file of refreshed ones. Raises DataError naming file and line."""
    renewals = []
    for line, record in read_numbered_lines(path):
        place = f"{path}:{line}"
        if Record(record, place, "a refreshed attempt").get("process", COUNT) != WHOLE:
            raise DataError(f"{place}: of an older version's run on several processes: use another folder.")
        renewals.append(Renewal.from_json(record, place))
    return renewals


def forget_refreshes(folder: Path, after: int) -> None:
    """Remove attempts found by steps that a run resumed after `after` steps takes again."""
    for step, path in TrainFolder(folder).refreshes().items():
        if step > after:
            path.unlink()
