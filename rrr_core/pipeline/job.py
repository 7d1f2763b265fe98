"""A whole run in one folder: mine → train → evaluate before and after → compare → report.

Each stage resumes where it stopped; finished stages are skipped. With several tasks each is mined and evaluated by
itself, and one training takes the failures of all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rrr_core.config.naming import options_of
from rrr_core.evaluation.deciding import check_deciders
from rrr_core.pipeline.opening import (
    OpenTask,
    check_trainable,
    choose_model,
    open_tasks,
    own_model_note,
    refuse_server,
)
from rrr_core.pipeline.record import RunRecord, open_record
from rrr_core.pipeline.settings import RunSettings, identity_of
from rrr_core.pipeline.stages import Stages
from rrr_core.processes.shards import Executor, ThisProcess
from rrr_core.profiling.spent import Spent
from rrr_core.progress import Progress
from rrr_core.runs.files import read_json
from rrr_core.runs.layout import TRAINED, VANILLA, RunFolder, StageFolder, TrainFolder
from rrr_core.runs.stage import stage_lock


@dataclass(frozen=True)
class RunResult:
    """The results of a finished run."""

    folder: Path
    comparisons: Mapping[str, Mapping[str, Any]]
    """Task → the content of its `comparison.json`."""
    report: Path
    spent: Spent
    """Time and tokens spent by all stages over all calls."""

    @property
    def comparison(self) -> Mapping[str, Any]:
        """That of the only task, or of the first named."""
        return next(iter(self.comparisons.values()))


def run(
    settings: RunSettings, folder: Path, progress: Progress | None = None, executor: Executor | None = None
) -> RunResult:
    """Run all stages in `folder`, or resume those that are not finished; `executor` is who works on shards.

    Of several processes each calls it, and the leading one keeps the record, compares and reports.
    Raises RrrError if the folder was started with other settings, naming the first difference.
    """
    progress, executor = progress or Progress(), executor or ThisProcess()
    is_named = bool(settings.model.model)
    tasks, settings = opened(settings, folder, progress)
    if not is_named and (note := own_model_note([each.task for each in tasks], settings.train.steps)):
        progress.notice(note)
    with stage_lock(folder, progress) if executor.leads else nullcontext():
        record = open_record(folder, identity_of(settings, tasks), progress, executor)
        files = RunFolder(folder)
        job = Stages(tasks, settings, files, progress, executor)
        is_due = isinstance(record, RunRecord) and not record.is_finished(
            "train", files.train.model, files.train.summary
        )
        # By all processes or by none, since the trainer's options have them join each other.
        if executor.agree("the check of training", is_due):
            job.check_training(tasks, files.train, settings.train)
        with job.workers() as workers:  # they end before training takes the memory
            for each in tasks:
                record.stage(job.named("mine", each), job.part(each).mine.summary, partial(job.mine, each, workers))
        training = partial(job.train, tasks, files.train, settings.train)
        record.stage("train", files.train.model, training, files.train.summary)
        for label in (VANILLA, TRAINED):
            with job.workers(None if label == VANILLA else files.train) as workers:
                for each in tasks:
                    product = job.part(each).evaluation(label).figures
                    record.stage(job.named("eval", each, label), product, partial(job.evaluate, each, label, workers))
        # Always rewritten: they are cheap, are not believed unseen, and a newer rrr may draw the page better.
        for each in tasks:
            work = partial(job.compare, each, (VANILLA, TRAINED))
            record.stage(job.named("compare", each), job.part(each).comparison, work, again=True)
        record.stage("report", files.report, job.report, again=True)
    if not isinstance(record, RunRecord):
        return RunResult(folder, {}, files.report, Spent())
    parts = {each.name: job.part(each) for each in tasks}
    comparisons = {name: read_json(part.comparison) for name, part in parts.items()}
    return RunResult(folder, comparisons, files.report, record.spent(stages_of(parts.values(), [files.train])))


def opened(
    settings: RunSettings, folder: Path | None, progress: Progress | None = None
) -> tuple[list[OpenTask], RunSettings]:
    """The tasks of a run, and its settings with the model that was chosen. Raises for what no stage could use.

    Without a `folder`, as before a run, a GGUF model is converted where `choose_model` puts it.
    """
    tasks = open_tasks(settings.task)
    chosen = choose_model(settings.model, *(each.task for each in tasks), run=folder, progress=progress)
    settings = dataclasses.replace(settings, model=chosen)
    refuse_server(settings.model)
    with options_of("eval"):
        for each in tasks:
            check_deciders(each.task, settings.eval.decide, settings.verify)
    with options_of("train"):
        check_trainable(settings.model, adapts=settings.train.lora_rank > 0)
    return tasks, settings


def stages_of(
    parts: Iterable[RunFolder], trainings: Iterable[TrainFolder], labels: Sequence[str] = (VANILLA, TRAINED)
) -> list[StageFolder]:
    """The folders of the stages: mining and the evaluations of each part, and the trainings."""
    found: list[StageFolder] = list(trainings)
    for part in parts:
        found += [part.mine, *(part.evaluation(label) for label in labels)]
    return found
