"""Judges a saved run again with the installed verifier and reports the verdicts that changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError
from rrr_core.judging.kept_answers import (
    KeptAnswer,
    Stage,
    count_lines,
    find_stages,
    kept_answers,
    read_stage,
    run_provenance,
    withheld_without_answer,
)
from rrr_core.progress import Advance, Progress
from rrr_core.tasks import Task, load_task
from rrr_core.tasks.requests import write_request
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge

BATCH = 512
"""Answers per batch."""


@dataclass(frozen=True, slots=True)
class Change:
    """A changed verdict: another outcome (a flip), or the same outcome in another class."""

    stage: str
    kind: str
    """`attempt`, `retry`, or a control such as `control no_reflection`."""
    place: str
    """File and line."""
    row_index: int
    before: Verdict
    after: Verdict

    @property
    def is_flip(self) -> bool:
        """Whether the outcome changed, and with it rewards and figures."""
        return self.before.outcome != self.after.outcome

    def to_json(self) -> dict[str, Any]:
        verdicts = {"before": self.before.to_json(), "after": self.after.to_json()}
        return {field.name: getattr(self, field.name) for field in fields(self)} | verdicts | {"is_flip": self.is_flip}


@dataclass(frozen=True, slots=True)
class StageResult:
    """One stage judged again."""

    stage: str
    then: Mapping[str, Any] | None
    """The task that judged then, from its manifest (`Task.provenance`); None if unknown."""
    now: Mapping[str, Any]
    judged: int
    changes: tuple[Change, ...]
    withheld: int
    """Verdicts withheld then whose answers were not saved."""

    @property
    def flipped(self) -> int:
        return sum(change.is_flip for change in self.changes)

    @property
    def reclassified(self) -> int:
        """Failures that failed again in another class, and abstentions of another kind."""
        return len(self.changes) - self.flipped

    @property
    def same(self) -> int:
        """Verdicts with the same outcome and class; their details may differ."""
        return self.judged - len(self.changes)

    def to_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "then": self.then,
            "now": self.now,
            "judged": self.judged,
            "same": self.same,
            "flipped": self.flipped,
            "reclassified": self.reclassified,
            "withheld": self.withheld,
        }


@dataclass(frozen=True, slots=True)
class Rejudged:
    """A run judged again."""

    run: Path
    stages: tuple[StageResult, ...]

    @property
    def judged(self) -> int:
        return sum(stage.judged for stage in self.stages)

    @property
    def flipped(self) -> int:
        return sum(stage.flipped for stage in self.stages)

    @property
    def changes(self) -> list[Change]:
        """All changes: the flips first, each kind in the order of the stages."""
        return sorted((change for stage in self.stages for change in stage.changes), key=lambda each: not each.is_flip)

    def kinds(self) -> list[tuple[str, str, int]]:
        """(Before, after, count) per kind of change, commonest first: `("failed, wrong numbers", "passed", 7)`."""
        counts = Counter((described(change.before), described(change.after)) for change in self.changes)
        return [(before, after, times) for (before, after), times in counts.most_common()]

    def to_json(self) -> dict[str, Any]:
        return {
            "run": str(self.run),
            "judged": self.judged,
            "flipped": self.flipped,
            "stages": [stage.to_json() for stage in self.stages],
            "changes": [change.to_json() for change in self.changes],
        }


def described(verdict: Verdict) -> str:
    """A verdict without its detail.

    >>> described(Verdict("failed", "wrong numbers", "7 is not among them")), described(Verdict("passed"))
    ('failed, wrong numbers', 'passed')
    """
    return f"{verdict.outcome}, {verdict.category}" if verdict.category else verdict.outcome


def rejudge(
    run: Path, make_judge: Callable[[Task], Judge], progress: Progress | None = None, overlays: Sequence[str] = ()
) -> Rejudged:
    """Judge every saved answer of a run folder again, each stage with the task and overlays that judged it then.

    `overlays` are stacked on top, to compare another judge with the original one. `make_judge` returns the judge of a
    task; it is called once per task, so a limit on withheld verdicts applies across all its stages. Writes nothing.
    Raises RrrError for a folder that is not a run, DataError naming file and line, PluginError if a task or overlay is
    no longer installed, and TooManyAbstentions.
    """
    run, progress = Path(run), progress or Progress()
    stages = find_stages(run)
    if not stages:
        raise DataError(f"{run} holds no verdicts yet: there is nothing to judge again.")
    fallback = run_provenance(run) or next((stage.provenance for stage in stages if stage.provenance), None)
    if fallback is None:
        raise DataError(f"{run}: no manifest says which task judged it: restore run.json or a stage's manifest.json.")
    judges: dict[str, Judge] = {}
    results = []
    lines = sum(count_lines(file) for stage in stages for file in stage.files)
    with ExitStack() as opened, progress.track(f"Judging {run.name or run} again", lines) as advance:
        for stage in stages:
            provenance = stage.provenance or fallback
            then = provenance.get("overlays", [])
            names = [provenance["task"], *(write_request(each["name"], each.get("options", {})) for each in then)]
            names += overlays
            if (key := json.dumps(names)) not in judges:
                judges[key] = opened.enter_context(make_judge(load_task(names[0], names[1:])))
            results.append(_rejudge_stage(stage, judges[key], advance))
        for judge in judges.values():
            judge.finish()
    return Rejudged(run, tuple(results))


def _rejudge_stage(stage: Stage, judge: Judge, advance: Advance) -> StageResult:
    judged = withheld = 0
    changes: list[Change] = []

    def answers() -> Iterator[KeptAnswer]:
        nonlocal withheld
        for file, number, record in read_stage(stage):
            yield from kept_answers(stage, record, f"{file}:{number}")
            withheld += withheld_without_answer(stage, record)
            advance(1, f"{stage.name}, {sum(change.is_flip for change in changes)} flipped")

    for batch in _batches(answers()):
        verdicts = judge.judge([(each.row, each.answer) for each in batch])
        judged += len(batch)
        changes += [
            Change(each.stage, each.kind, each.place, each.row_index, each.verdict, verdict)
            for each, verdict in zip(batch, verdicts, strict=True)
            if (each.verdict.outcome, each.verdict.category) != (verdict.outcome, verdict.category)
        ]
    return StageResult(stage.name, stage.provenance, judge.task.provenance(), judged, tuple(changes), withheld)


def _batches(answers: Iterable[KeptAnswer]) -> Iterator[Sequence[KeptAnswer]]:
    iterator = iter(answers)
    while batch := list(islice(iterator, BATCH)):
        yield batch
