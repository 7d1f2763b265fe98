"""A run folder as plain records, for notebooks: `pandas.DataFrame` and `polars.DataFrame` take each list as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrr_core.episode import Episode
from rrr_core.evaluation.controls import CONTROL_KEYS, read_evaluated
from rrr_core.evaluation.reflection_kinds import kind_of
from rrr_core.report.data import read_runs
from rrr_core.report.folders import parts_of
from rrr_core.report.tidy import tidy
from rrr_core.runs.files import read_numbered_lines
from rrr_core.runs.layout import RunFolder
from rrr_core.runs.metrics import read_metrics


@dataclass(frozen=True, slots=True)
class RunRecords:
    """What a run folder holds, as lists of records that all have the same keys.

    Texts are as the model wrote them: hostile text for whatever shows them.
    """

    episodes: list[dict[str, Any]]
    """One record for each evaluated row, and for each episode that training kept."""
    figures: list[dict[str, Any]]
    """One record for each number: `rrr_core.report.tidy.COLUMNS`."""
    metrics: list[dict[str, Any]]
    """One record for each logged step of training."""


def read_run(folder: Path | str, say: Callable[[str], None] = lambda _: None) -> RunRecords:
    """The records of a run folder, of all its tasks. `say` gets a line for each damaged file among its figures.

    Raises RrrError for a folder that is not a run, and DataError naming file and line for a damaged episode.
    """
    folder = Path(folder)
    parts = [files for files, _ in parts_of(folder, folder.name)]
    metrics: dict[Path, list[dict[str, Any]]] = {}
    for files in parts:
        path = files.train.metrics
        if path.exists() and path not in metrics:
            lines = read_numbered_lines(path, may_end_early=True)
            metrics[path] = [dict(read_metrics(record, f"{path}:{number}")) for number, record in lines]
    steps = [record for some in metrics.values() for record in some]
    names = dict.fromkeys(name for record in steps for name in record)
    return RunRecords(
        episodes=[record for files in parts for record in _episodes(files, with_task=len(parts) > 1)],
        figures=tidy(read_runs([folder], say).runs),
        metrics=[{name: record.get(name) for name in names} for record in steps],
    )


def _episodes(files: RunFolder, *, with_task: bool) -> Iterator[dict[str, Any]]:
    task = files.path.name if with_task else None
    for evaluation in files.evaluations():
        for mode, shards in evaluation.modes().items():
            for shard in shards:
                for episode in _read(shard):
                    yield episode_record(episode, "eval", evaluation.path.name, mode, task)
    if files.train.episodes.exists():
        for episode in _read(files.train.episodes):
            if episode.task in (None, files.path.name):
                yield episode_record(episode, "train", None, None, task)


def _read(path: Path) -> Iterator[Episode]:
    for number, record in read_numbered_lines(path, may_end_early=True):
        yield read_evaluated(record, f"{path}:{number}")


def episode_record(
    episode: Episode, stage: str, model: str | None, mode: str | None, task: str | None = None
) -> dict[str, Any]:
    """An episode as one flat record: its first try, the first round's reflection and retry, and each control's."""
    first = episode.rounds[0] if episode.rounds else None
    second = episode.second_verdict
    record: dict[str, Any] = {
        "stage": stage,
        "model": model,
        "mode": mode,
        "task": task,
        "step": episode.step,
        "row_index": episode.row_index,
        "prompt": "\n\n".join(message["content"] for message in episode.prompt),
        "attempt": episode.attempt.answer,
        "verdict": episode.verdict.outcome,
        "category": episode.verdict.category,
        "detail": episode.verdict.detail,
        "reflection": None if first is None else first.reflection.text,
        "reflection_tokens": None if first is None else first.reflection.length,
        "reflection_kind": None if first is None or not episode.verdict.is_failed else kind_of(episode, first),
        "retry": None if first is None or first.retry is None else first.retry.answer,
        "retry_verdict": None if second is None else second.outcome,
        "retry_category": None if second is None else second.category,
        "rounds": len(episode.rounds),
        "last_verdict": episode.last_verdict.outcome,
    }
    for key in CONTROL_KEYS:
        tries = episode.controls.get(key, ())
        record[key] = tries[0][0] if tries else None
        record[f"{key}_verdict"] = tries[0][1].outcome if tries else None
    return {**record, "reward": episode.reward, "advantage": episode.advantage, "row": dict(episode.row)}
