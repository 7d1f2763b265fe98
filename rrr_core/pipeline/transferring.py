"""Transfer: reflections trained on each of several tasks, and every trained model evaluated on all of them.

Each task is mined once, with the untrained model. Each stage resumes where it stopped; finished stages are skipped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rrr_core.errors import RrrError
from rrr_core.evaluation.transfer import transfer_matrix
from rrr_core.pipeline.job import opened, stages_of
from rrr_core.pipeline.opening import OpenTask
from rrr_core.pipeline.record import RunRecord
from rrr_core.pipeline.settings import RunSettings, identity_of
from rrr_core.pipeline.stages import Stages
from rrr_core.profiling.spent import Spent
from rrr_core.progress import Progress
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json
from rrr_core.runs.layout import VANILLA, RunFolder, TrainFolder, trained_on
from rrr_core.runs.stage import stage_lock
from rrr_core.training.settings import TrainSettings

MIXTURE = "mixture"
"""The row of the model that was trained on all tasks together."""


@dataclass(frozen=True)
class Transferred:
    """The results of a finished transfer."""

    folder: Path
    matrix: Mapping[str, Any]
    """The content of `transfer.json`."""
    report: Path
    spent: Spent
    """Time and tokens spent by all stages over all calls."""


@dataclass(frozen=True)
class _Training:
    """One model to train."""

    name: str
    """The task it is trained on, or the mixture."""
    tasks: Sequence[OpenTask]
    folder: TrainFolder
    settings: TrainSettings

    @property
    def label(self) -> str:
        """Its name in the evaluations."""
        return self.folder.path.name


def transfer(
    settings: RunSettings, folder: Path, progress: Progress | None = None, *, mixture: bool = False, seeds: int = 1
) -> Transferred:
    """Train on each task, with `mixture` on all together too, and evaluate all models on all tasks, in `folder`.

    Training is repeated with `seeds` seeds, from the settings' own on. Raises RrrError for fewer than two tasks, and if
    the folder was started with other settings, naming the first difference.
    """
    progress = progress or Progress()
    tasks, settings = opened(settings, folder, progress)
    if len(tasks) < 2:
        raise RrrError("transfer is from task to task: name two tasks at least.")
    if MIXTURE in (each.name for each in tasks):
        raise RrrError(f"a task that is named {MIXTURE!r} would have the name of the mixture of all: leave it out.")
    check_labels([each.name for each in tasks], mixture, seeds)
    with stage_lock(folder, progress):
        identity = {**identity_of(settings, tasks), "transfer": {"mixture": mixture, "seeds": seeds}}
        record = RunRecord.open(folder, identity, progress)
        files = RunFolder(folder)
        job = Stages(tasks, settings, files, progress)
        trainings = list(_trainings(tasks, settings.train, files, mixture, seeds))
        for each in trainings:
            if not record.is_finished(f"train {each.label}", each.folder.model, each.folder.summary):
                job.check_training(each.tasks, each.folder, each.settings)
        with job.workers() as workers:  # they end before training takes the memory
            for task in tasks:
                record.stage(job.named("mine", task), job.part(task).mine.summary, partial(job.mine, task, workers))
        for each in trainings:
            work = partial(job.train, each.tasks, each.folder, each.settings)
            record.stage(f"train {each.label}", each.folder.model, work, each.folder.summary)
        for label, trained in {VANILLA: None, **{each.label: each.folder for each in trainings}}.items():
            with job.workers(trained) as workers:
                for task in tasks:
                    product = job.part(task).evaluation(label).figures
                    record.stage(job.named("eval", task, label), product, partial(job.evaluate, task, label, workers))
        labels = [VANILLA, *(each.label for each in trainings)]
        for task in tasks:
            work = partial(job.compare, task, labels)
            record.stage(job.named("compare", task), job.part(task).comparison, work, again=True)
        record.stage("transfer", files.transfer, partial(_write_matrix, job, trainings), again=True)
        record.stage("report", files.report, job.report, again=True)
    stages = stages_of(map(job.part, tasks), [each.folder for each in trainings], labels)
    return Transferred(folder, read_json(files.transfer), files.report, record.spent(stages))


def check_labels(names: Sequence[str], mixture: bool, seeds: int) -> None:
    """Raise RrrError if two trainings would have one label, and so one folder: `x` with a seed, and `x-seed-1`."""
    labelled: dict[str, str] = {}
    for name in (*names, *([MIXTURE] if mixture else ())):
        for seed in range(seeds):
            label = trained_on(name, seed)
            if label in labelled:
                raise RrrError(
                    f"the trainings on {labelled[label]!r} and on {name!r} would share the folder {label}, one as a"
                    " repetition with another seed: leave out one task, or --seeds."
                )
            labelled[label] = name


def _trainings(
    tasks: Sequence[OpenTask], settings: TrainSettings, files: RunFolder, mixture: bool, seeds: int
) -> list[_Training]:
    together = {MIXTURE: tasks} if mixture else {}
    return [
        _Training(
            name,
            of,
            files.training(trained_on(name, seed)),
            dataclasses.replace(_fitting(settings, of, mixture), seed=settings.seed + seed),
        )
        for name, of in {**{each.name: [each] for each in tasks}, **together}.items()
        for seed in range(seeds)
    ]


def _fitting(settings: TrainSettings, tasks: Sequence[OpenTask], mixture: bool) -> TrainSettings:
    """The settings for a training on these tasks, without what is for others alone."""
    if len(tasks) > 1:
        return settings
    # Weights are the mixture's; without one they are refused.
    return tasks[0].fitting(dataclasses.replace(settings, weights="") if mixture else settings)


def _write_matrix(job: Stages, trainings: Sequence[_Training]) -> None:
    comparisons = {each.name: read_json(job.part(each).comparison) for each in job.tasks}
    labels: dict[str, list[str]] = {}
    for each in trainings:
        labels.setdefault(each.name, []).append(each.label)
    digests = Digests(job.files.path)
    digests.write_json(job.files.transfer, transfer_matrix(comparisons, labels, VANILLA))
    digests.settle([job.files.transfer])
