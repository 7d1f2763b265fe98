"""The answers that a run folder keeps, each with the verdict that it got: what `rrr rejudge` judges again.

These are the failing attempts of `mine/`, the retries of `train/episodes.jsonl`, and the attempts, retries and controls
of `eval/LABEL/MODE-NNNNN.jsonl` (docs/run-folders.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args

from rrr_core.errors import DataError, RrrError
from rrr_core.runs.files import read_json, read_numbered_lines
from rrr_core.runs.layout import RunFolder, StageFolder
from rrr_core.text import shown
from rrr_core.verdicts import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer that was judged, as a run keeps it."""

    stage: str
    """`mine`, `train`, or an evaluation's label and mode, such as `eval/vanilla/greedy`."""
    kind: str
    """`attempt`, `retry`, or a control such as `control no_reflection`."""
    place: str
    """File and line."""
    row_index: int
    row: Mapping[str, Any]
    answer: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a run: its files, and which task judged then."""

    name: str
    files: tuple[Path, ...]
    provenance: Mapping[str, Any] | None
    """The task with its overlays, their distributions and versions (`Task.provenance`); None where nothing tells."""

    @property
    def part(self) -> str:
        """`mine`, `train` or `eval`."""
        return self.name.partition("/")[0]


def find_stages(run: Path) -> list[Stage]:
    """The stages of a run folder that hold verdicts, in the order in which they are made.

    Raises RrrError for a folder that is no run, and DataError for a manifest that cannot be read.
    """
    if not run.is_dir():
        raise RrrError(f"{run} is not a folder: give a folder that `rrr run` made.")
    files = RunFolder(run)
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
    """The task that `run.json` names, or None where there is none. Raises DataError for one that cannot be read."""
    return _provenance(RunFolder(run).record)


def read_stage(stage: Stage) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """The records of a stage, lazily, each with its file and line.

    Raises DataError naming both. Only `train/episodes.jsonl`, which grows line by line, may end in half a line, which a
    killed writer left and the next one cuts off.
    """
    for file in stage.files:
        whole = count_lines(file) if stage.part == "train" else None
        last = 0
        try:
            for last, record in read_numbered_lines(file):
                yield file, last, record
        except DataError:
            if last != whole:
                raise


def count_lines(file: Path) -> int:
    """The lines of a file that are ended."""
    with open(file, "rb") as opened:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: opened.read(1 << 20), b""))


def kept_answers(stage: Stage, record: Mapping[str, Any], place: str) -> list[KeptAnswer]:
    """The answers that one record of a stage holds. Raises DataError naming `place` where it is none of that stage."""
    match stage.part:
        case "mine":
            failures = _field(record, "failures", list, place)
            if not all(isinstance(failure, dict) for failure in failures):
                _refuse(place, "failures", failures)
            return [_kept(stage, "attempt", place, failure, "attempt", "verdict") for failure in failures]
        case "train":
            # Its attempts are those of the failure set, and were judged there.
            return [_kept(stage, "retry", place, record, "retry", "retry_verdict")] if _has_retry(record) else []
        case _:
            kept = [_kept(stage, "attempt", place, record, "attempt", "verdict")]
            if _has_retry(record):
                kept.append(_kept(stage, "retry", place, record, "retry", "retry_verdict"))
            controls = _field(record, "controls", dict, place) if "controls" in record else {}
            for name, control in controls.items():
                if not isinstance(control, list) or len(control) != 2:
                    _refuse(place, "controls", controls)
                answered = {**record, "answer": control[0], "verdict": control[1]}
                kept.append(_kept(stage, f"control {name}", place, answered, "answer", "verdict"))
            return kept


def withheld_without_answer(stage: Stage, record: Mapping[str, Any]) -> int:
    """Verdicts withheld in a record whose answers are not kept, as mining keeps none that is no failure."""
    withheld = record.get("withheld") if stage.part == "mine" else None
    return len(withheld) if isinstance(withheld, list) else 0


def _kept(
    stage: Stage, kind: str, place: str, record: Mapping[str, Any], answer_key: str, verdict_key: str
) -> KeptAnswer:
    return KeptAnswer(
        stage=stage.name,
        kind=kind,
        place=place,
        row_index=_field(record, "row_index", int, place),
        row=_field(record, "row", dict, place),
        answer=_field(record, answer_key, str, place),
        verdict=_verdict(_field(record, verdict_key, dict, place), place),
    )


def _has_retry(record: Mapping[str, Any]) -> bool:
    """Whether a retry was judged; one that was not generated, after an empty reflection, has a verdict all the same."""
    return record.get("retry_verdict") is not None and record.get("retry", "") is not None


def _field(record: Mapping[str, Any], key: str, wanted: type, place: str) -> Any:
    value = record.get(key)
    if not isinstance(value, wanted):
        _refuse(place, key, value)
    return value


def _verdict(record: Mapping[str, Any], place: str) -> Verdict:
    texts = {key: record.get(key, "") for key in ("outcome", "category", "detail")}
    if texts["outcome"] not in get_args(Outcome) or not all(isinstance(text, str) for text in texts.values()):
        _refuse(place, "verdict", record)
    return Verdict(**texts)


def _refuse(place: str, key: str, value: Any) -> NoReturn:
    raise DataError(f"{place}: not a record that rrr wrote: {key!r} is {shown(value)}.")


def _provenance(manifest: Path) -> Mapping[str, Any] | None:
    """What a manifest tells of the task, checked as far as it is used."""
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
        raise DataError(f"{manifest}:1: not a manifest of rrr: its 'overlays' are no list of overlays.")
    return task


def _hint(folder: Path) -> str:
    """The run that a stage's folder is of, where it looks like one."""
    for parent in list(folder.resolve().parents)[:2]:
        if StageFolder(folder).manifest.exists() and RunFolder(parent).has_stage():
            return f"did you mean {str(parent)!r}?"
    return ""
