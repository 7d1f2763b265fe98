"""The answers saved in a run folder with their verdicts, which `rrr rejudge` judges again.

They are the failing attempts and failed retries in `mine/`, the retries and the trained first tries in
`train/episodes.jsonl`, and the attempts, retries and controls in `eval/LABEL/MODE-NNNNN.jsonl` (docs/run-folders.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrr_core.episode import ANSWERS, Episode, was_judged
from rrr_core.errors import DataError, RrrError
from rrr_core.evaluation.controls import read_evaluated
from rrr_core.mining.mined_row import MinedRow
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import open_to_read, read_json, read_numbered_lines
from rrr_core.runs.layout import RunFolder, StageFolder
from rrr_core.verdicts import NO_ANSWER, Verdict


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A judged answer as saved by a run."""

    stage: str
    """`mine`, `train`, or an evaluation's label and mode, such as `eval/vanilla/greedy`."""
    kind: str
    """`attempt`, `retry`, `unneeded retry` for a row that was right at first, or a control such as
    `control no_reflection`; later rounds add theirs: `retry, round 2`."""
    place: str
    """File and line."""
    row_index: int
    row: Mapping[str, Any]
    answer: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a run: its files, and the task that judged it."""

    name: str
    files: tuple[Path, ...]
    provenance: Mapping[str, Any] | None
    """The task with its overlays, their distributions and versions (`Task.provenance`); None without a manifest."""

    @property
    def part(self) -> str:
        """`mine`, `train` or `eval`."""
        return self.name.partition("/")[0]


def find_stages(run: Path) -> list[Stage]:
    """The stages of a run folder that hold verdicts, in the order a run makes them.

    Raises RrrError for a folder that is not a run, and DataError for an unreadable manifest.
    """
    if not run.is_dir():
        raise RrrError(f"{run} is not a folder: give a folder that `rrr run` made.")
    files = RunFolder(run)
    if parts := files.parts():
        named = ", ".join(str(part.path) for part in parts)
        raise RrrError(f"{run} holds a run of several tasks: give the folder of one of them ({named}).")
    if not files.has_stage():
        raise RrrError(
            f"{run} holds no run (no mine/, train/ or eval/): give a folder that `rrr run` made.{_hint(run)}"
        )
    stages = []
    if shards := files.mine.shards():
        stages.append(Stage("mine", tuple(shards), _provenance(files.mine.manifest)))
    if files.train.episodes.exists():
        stages.append(Stage("train", (files.train.episodes,), _provenance(files.train.manifest)))
    for evaluation in files.evaluations():
        provenance = _provenance(evaluation.manifest)
        stages += [
            Stage(f"eval/{evaluation.path.name}/{mode}", tuple(shards), provenance)
            for mode, shards in evaluation.modes().items()
        ]
    return stages


def run_provenance(run: Path) -> Mapping[str, Any] | None:
    """The task named in `run.json`, or None if there is no such file. Raises DataError for an unreadable one."""
    return _provenance(RunFolder(run).record)


def read_stage(stage: Stage) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """The records of a stage, lazily, each with its file and line.

    Raises DataError naming both. Only `train/episodes.jsonl`, which grows line by line, may end in half a line, left
    by a killed writer and cut off by the next.
    """
    for file in stage.files:
        for number, record in read_numbered_lines(file, may_end_early=stage.part == "train"):
            yield file, number, record
        Digests(file.parent).check(file, "restore it, or delete it and run the command that wrote it again.")


def count_lines(file: Path) -> int:
    """The number of complete lines in a file."""
    with open_to_read(file) as opened:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: opened.read(1 << 20), b""))


def kept_answers(stage: Stage, record: Mapping[str, Any], place: str) -> list[KeptAnswer]:
    """The answers in one record of a stage. Raises DataError naming `place` if the record is not one of that stage."""

    def kept(episode: Episode, kind: str, answer: str, verdict: Verdict) -> KeptAnswer:
        return KeptAnswer(stage.name, kind, place, episode.row_index, episode.row, answer, verdict)

    if stage.part == "mine":
        return [
            kept(each.episode, _mined_kind(each.episode), each.attempt, each.verdict)
            for each in MinedRow.from_json(record, place).all_failures
            if was_judged(each.episode, each.attempt, each.verdict)
        ]
    episode = read_evaluated(record, place)
    numbers: Counter[str] = Counter()
    answers = []
    for segment in episode.segments:
        if segment.role not in ANSWERS or segment.verdict is None:
            continue
        numbers[segment.role] += 1
        # Before a reflection, a training episode's attempt comes from the failure set and was judged there. A first try
        # (--credit attempt, --consolidate reward) is training's own.
        if stage.part != "eval" and segment.role != "retry" and not segment.is_trained:
            continue
        if was_judged(episode, segment.answer, segment.verdict):
            kind = _in_round(segment.role, numbers[segment.role])
            answers.append(kept(episode, kind, segment.answer, segment.verdict))
    answers += [
        kept(episode, f"unneeded {segment.role}", segment.answer, segment.verdict)
        for segment in episode.unneeded
        if segment.role in ANSWERS and segment.verdict is not None
        if was_judged(episode, segment.answer, segment.verdict)
    ]
    controls = [
        kept(episode, _in_round(f"control {name}", number), answer, verdict)
        for name, tries in episode.controls.items()
        for number, (answer, verdict) in enumerate(tries, 1)
        if was_judged(episode, answer, verdict)
    ]
    return answers + controls


def _mined_kind(episode: Episode) -> str:
    """The kind of the answer that a mined failure ends in."""
    return _in_round("retry", len(episode.rounds)) if episode.rounds else "attempt"


def _in_round(kind: str, number: int) -> str:
    """The kind of an answer in the round of that number.

    >>> _in_round("retry", 1), _in_round("retry", 2)
    ('retry', 'retry, round 2')
    """
    return kind if number == 1 else f"{kind}, round {number}"


def withheld_without_answer(stage: Stage, record: Mapping[str, Any]) -> int:
    """Withheld verdicts in a record whose answers are not saved: mining saves only failures."""
    if stage.part != "mine":
        return 0
    later = record.get("reflected")
    lists = (record.get("withheld"), later.get("withheld") if isinstance(later, dict) else None)
    verdicts = [verdict for withheld in lists if isinstance(withheld, list) for verdict in withheld]
    return sum(not (isinstance(verdict, dict) and verdict.get("category") == NO_ANSWER) for verdict in verdicts)


def _provenance(manifest: Path) -> Mapping[str, Any] | None:
    """The task described in a manifest, validated as far as it is used; None if there is no manifest."""
    if not manifest.exists():
        return None
    content = read_json(manifest)
    identity = content.get("identity") if isinstance(content, dict) else None
    task = identity.get("task") if isinstance(identity, dict) else None
    if not isinstance(task, dict) or not all(isinstance(task.get(key), str) for key in ("task", "distribution")):
        raise DataError(f"{manifest}:1: not a manifest of rrr: it names no task.")
    overlays = task.get("overlays", [])
    if not isinstance(overlays, list) or not all(
        isinstance(overlay, dict)
        and isinstance(overlay.get("name"), str)
        and isinstance(overlay.get("options", {}), dict)
        for overlay in overlays
    ):
        raise DataError(f"{manifest}:1: not a manifest of rrr: its 'overlays' are not a list of overlays.")
    return task


def _hint(folder: Path) -> str:
    """A hint naming the run, if the folder looks like one of its stages."""
    for parent in list(folder.resolve().parents)[:2]:
        if StageFolder(folder).manifest.exists() and RunFolder(parent).has_stage():
            return f"did you mean {str(parent)!r}?"
    return ""
