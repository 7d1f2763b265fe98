"""The subject of the checks: one task with its overlays, and what is known about it, computed once for all checks."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from rrr_core.conformance.courses import Act, Given, step_by
from rrr_core.conformance.observation import Observation, observe
from rrr_core.conformance.probe import Request
from rrr_core.conformance.results import Faulty
from rrr_core.conformance.settings import CheckSettings
from rrr_core.episode.calls import calls_from_json
from rrr_core.errors import PluginError, RrrError
from rrr_core.generation.engine import Engine
from rrr_core.hookspecs import Action, Example, Manifest, Row, Step
from rrr_core.probing.sampling import Plan, Sample, Sampler
from rrr_core.progress import Progress
from rrr_core.tasks import Task, find_tasks, load_task
from rrr_core.tasks.blame import IMPORT_DENIED
from rrr_core.tasks.task import SPLITS
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge, VerifySettings

Pair = tuple[Row, str]
FIRST = "first"
REWARDS = "rewards"
"""The judge that asks for rewards, too."""
FIRST_ANSWERS = ("", "x", "I do not know.")
"""What a verifier is asked first: if it breaks here, nothing more is asked."""
CHUNK = 32
"""Answers that are judged before the next look for a fault, which bounds how often a hanging verifier hangs."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, with its row and answer."""

    row: Row
    answer: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Trainee:
    """The model that is asked whether it can learn on the task."""

    open: Callable[[Task], Engine]
    """Its engine for a task. Raises ModelError or PluginError."""
    progress: Progress = field(default_factory=Progress)


@dataclass
class Subject:
    """A task under test. Close it, or use it in `with`, to end the processes of its judges."""

    name: str
    overlays: tuple[str, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    verify: VerifySettings = field(default_factory=VerifySettings)
    settings: CheckSettings = field(default_factory=CheckSettings)
    asked: frozenset[str] = frozenset()
    """The checks that run. One waits for another only if that one runs too."""
    trainee: Trainee | None = None
    _judges: dict[str, Judge] = field(default_factory=dict)
    _groups: dict[str, list[Judged] | Faulty] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)
    """Check → when it first asked for verdicts or steps."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the judges."""
        while self._judges:
            self._judges.popitem()[1].close()

    @cached_property
    def who(self) -> str:
        """`rrr-x 1.0 with overlay noisy`; the task's name if no distribution offers it."""
        plugin = next((entry.who for entry in find_tasks() if entry.name == self.name), f"task {self.name!r}")
        return " with overlay ".join([plugin, *self.overlays])

    @cached_property
    def first(self) -> Observation:
        """What the plugin's hooks gave in a separate process."""
        return self._observe(0, self.settings.compared)

    @cached_property
    def second(self) -> Observation:
        """The same in another process, with another hash seed."""
        return self._observe(1, self.settings.rows)

    def observed(self, stage: str) -> Any:
        """What a stage of the first probe gave. Raises Faulty."""
        return self.first.value(stage)

    @cached_property
    def task(self) -> Task:
        """The loaded task. A probe loads it first, so an import that hangs does so there."""
        self.observed("load")
        return load_task(self.name, self.overlays)

    @cached_property
    def manifest(self) -> Manifest | None:
        given = self.observed("manifest")
        return None if given is None else Manifest(**{**given, "categories": tuple(given["categories"])})

    @cached_property
    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Split → its first rows, at least one. Raises Faulty."""
        rows = {split: self.observed(f"rows {split}")["rows"] for split in SPLITS}
        for split in SPLITS:
            if not rows[split]:
                text = f"{self.who}: rrr_load_dataset gives no row for {split!r}. Each split needs rows."
                raise Faulty("check_splits_load", text)
        return rows

    @property
    def both(self) -> list[dict[str, Any]]:
        """Rows of both splits, alternating."""
        pairs = itertools.zip_longest(*self.rows.values())
        return [row for pair in pairs for row in pair if row is not None]

    @cached_property
    def gold(self) -> list[tuple[dict[str, Any], str, str | None]] | None:
        """(row, gold answer, the part of it that is judged) for rows with a known one; None without the hook."""
        given = self.observed("gold")
        if given is None:
            return None
        return [
            (row, answer, final)
            for split in SPLITS
            for row, (answer, final) in zip(self.rows[split], given[split], strict=True)
            if answer is not None
        ]

    @cached_property
    def examples(self) -> list[Example]:
        return [
            Example(**{**each, "actions": tuple(map(_action, each["actions"]))}) for each in self.observed("examples")
        ]

    @cached_property
    def sample(self) -> Sample:
        """What the trainee makes of the first rows of `train`. Raises Faulty."""
        self.judge_first()
        rows = self.rows["train"][: self.settings.model_rows]
        owner = "check_reward_can_be_reached"
        try:
            assert self.trainee is not None
            plan, engine = Plan.of(self.task), self.trainee.open(self.task)
            with Judge(self.task, settings=self.verify) as judge:
                return Sampler(self.task, engine, judge, plan, self.trainee.progress).sample(rows)
        except PluginError as error:
            raise Faulty(owner, str(error)) from error
        except RrrError as error:
            raise Faulty(owner, str(error), "cannot be judged") from error

    @property
    def limits(self) -> VerifySettings:
        """The user's limits. Even trusted verifiers run in a separate process, because their promise is what is being
        checked; they run in this one only if the user says `none`."""
        isolation = "process" if self.verify.isolation == "auto" else self.verify.isolation
        return dataclasses.replace(self.verify, isolation=isolation)

    @property
    def tight_limits(self) -> VerifySettings:
        """The limits for hostile answers."""
        return dataclasses.replace(
            self.limits,
            cpu_seconds=min(self.verify.cpu_seconds, self.settings.hostile_cpu_seconds),
            memory_mb=min(self.verify.memory_mb, self.settings.hostile_memory_mb),
        )

    def judged(self, group: str, owner: str, pairs: Iterable[Pair], tight: bool = False) -> list[Judged]:
        """The verdicts on a group of answers, judged once.

        Raises Faulty at the first withheld verdict. If the very first answers get none, `check_verdicts_are_given`
        reports it; otherwise the check `owner` does.
        """
        if group != FIRST:
            self.judge_first()
        if group not in self._groups:
            try:
                self._groups[group] = self._judge(list(pairs), owner, "tight" if tight else "usual")
            except PluginError as error:  # The verifier's processes cannot start.
                self._groups[group] = Faulty(owner, str(error))
            except Faulty as fault:
                self._groups[group] = fault
        found = self._groups[group]
        if isinstance(found, Faulty):
            raise found
        return found

    def judge_first(self) -> list[Judged]:
        """The verdicts on the simplest answers to one row of each split. Raises Faulty like `judged`."""
        pairs = ((row, answer) for row in self.both[:2] for answer in FIRST_ANSWERS)
        return self.judged(FIRST, "check_verdicts_are_given", pairs)

    def judged_again(self, pairs: Sequence[Pair], judge: str) -> list[Verdict]:
        """New verdicts, by the judge `usual` or `rewards`, or by another in processes with another hash seed."""
        if judge in ("usual", REWARDS):
            return self.judge_of(judge).judge(pairs)
        with _any_hash_seed():
            return self.judge_of(judge).judge(pairs)

    def stepped(self, acts: Sequence[Act], states: Sequence[Any], judge: str) -> list[Step | Verdict]:
        """What (row, action) pairs lead to from these states, by the judge of that name."""
        if judge != "elsewhere":
            return step_by(self.judge_of(judge), acts, states)
        with _any_hash_seed():
            return step_by(self.judge_of(judge), acts, states)

    @property
    def judge(self) -> Judge:
        """The judge with the user's limits; it ends with the subject."""
        return self.judge_of("usual")

    @property
    def seen(self) -> list[Judged]:
        """Everything judged so far."""
        return [judged for group in self._groups.values() if not isinstance(group, Faulty) for judged in group]

    def require_time(self, owner: str) -> None:
        """Raise Faulty, as what cannot be judged, once the check `owner` has asked for too long."""
        now = time.monotonic()
        if now - self._began.setdefault(owner, now) > self.settings.check_seconds:
            text = f"{self.who}: the check has taken {self.settings.check_seconds:g} seconds, and is not done."
            remedy = "Make the hook faster, check fewer rows (--rows), or wait for a quieter machine."
            raise Faulty(owner, f"{text} {remedy}", "cannot be judged")

    def _judge(self, pairs: list[Pair], owner: str, judge: str) -> list[Judged]:
        found: list[Judged] = []
        for start in range(0, len(pairs), CHUNK):
            self.require_time(owner)
            chunk = pairs[start : start + CHUNK]
            for (row, answer), verdict in zip(chunk, self.judge_of(judge).judge(chunk), strict=True):
                if verdict.is_abstained:
                    if IMPORT_DENIED in verdict.detail:  # No answer is to blame.
                        raise Faulty(owner, f"{verdict.detail}.")
                    raise Faulty(
                        owner,
                        f"{verdict.detail} ({verdict.category}), on the answer {excerpt(answer)}. "
                        "Let the verifier return failed(…) for what it cannot read, quickly and without raising.",
                    )
                found.append(Judged(row, answer, verdict))
        return found

    def judge_of(self, name: str) -> Judge:
        """The judge of that name, started on first use: `usual`, `tight`, `elsewhere`, or one for rewards."""
        if name not in self._judges:
            scores = name.startswith(REWARDS)
            limits = self.tight_limits if name == "tight" else self.limits
            if name.endswith("elsewhere"):
                limits = dataclasses.replace(limits, isolation="process")
            self._judges[name] = Judge(self.task, max_abstain=1, settings=limits, scores=scores)
        return self._judges[name]

    def _observe(self, hash_seed: int, compared: int) -> Observation:
        request = Request(
            self.name,
            self.overlays,
            dict(self.data),
            self.settings.rows,
            max(compared, self.settings.rows),
            self.settings.compare_seconds,
        )
        return observe(request, self.who, self.settings.silence_seconds, hash_seed)


def _action(given: str | Mapping[str, Any]) -> Given:
    """An action of an example, as the probe reported it."""
    return given if isinstance(given, str) else Action(given["text"], calls_from_json(given["calls"]))


def excerpt(text: str, longest: int = 60) -> str:
    """A text quoted safely: as ASCII, and if it is long only its start, with its length."""
    return ascii(text) if len(text) <= longest else f"{text[:longest]!a}… ({len(text):,} characters)"


def excerpt_of_change(text: str, before: str, longest: int = 60) -> str:
    """A text quoted safely like `excerpt`, but if it is long the part around the first change from `before`.

    >>> excerpt_of_change("The sum of two and three is 6.", "The sum of two and three is 5.", 12)
    "…'d three is 6.' (30 characters)"
    """
    if len(text) <= longest:
        return ascii(text)
    both = min(len(text), len(before))
    place = next((place for place in range(both) if text[place] != before[place]), both)
    start = max(0, min(place - longest // 2, len(text) - longest))
    end = start + longest
    return f"{'…' if start else ''}{text[start:end]!a}{'…' if end < len(text) else ''} ({len(text):,} characters)"


@contextmanager
def _any_hash_seed() -> Iterator[None]:
    """Lets processes started meanwhile hash with a random seed, even if tox, say, has fixed one."""
    name = "PYTHONHASHSEED"
    before = os.environ.get(name)
    os.environ[name] = "random"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
