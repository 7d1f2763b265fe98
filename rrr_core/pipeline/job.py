"""A whole run in one folder: mine → train → evaluate before and after → compare → report.

Each stage resumes where it stopped; finished stages are skipped. With several tasks each is mined and evaluated by
itself, and one training takes the failures of all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrr_core.episode import Failure
from rrr_core.evaluation.deciding import check_deciders
from rrr_core.generation import ModelSettings
from rrr_core.pipeline.naming import options_of
from rrr_core.pipeline.opening import (
    OpenTask,
    check_trainable,
    choose_model,
    open_engine,
    open_tasks,
    refuse_server,
    trained_model,
    with_date,
)
from rrr_core.pipeline.record import RunRecord
from rrr_core.pipeline.settings import RunSettings, identity_of
from rrr_core.profiling.spent import Spent
from rrr_core.progress import Progress
from rrr_core.runs.files import read_json
from rrr_core.runs.layout import TRAINED, VANILLA, RunFolder
from rrr_core.runs.stage import stage_lock

if TYPE_CHECKING:
    from rrr_core.generation.engine import Engine


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


def run(settings: RunSettings, folder: Path, progress: Progress | None = None) -> RunResult:
    """Run all stages in `folder`, or resume those that are not finished.

    Raises RrrError if the folder was started with other settings, naming the first difference.
    """
    progress = progress or Progress()
    tasks = open_tasks(settings.task)
    settings = dataclasses.replace(settings, model=choose_model(settings.model, *(each.task for each in tasks)))
    refuse_server(settings.model)
    with options_of("eval"):
        for each in tasks:
            check_deciders(each.task, settings.eval.decide, settings.verify)
    with options_of("train"):
        check_trainable(settings.model, adapts=settings.train.lora_rank > 0)
    with stage_lock(folder, progress):
        record = RunRecord.open(folder, identity_of(settings, tasks), progress)
        files = RunFolder(folder)
        job = _Job(tasks, settings, files, progress)
        if not record.is_finished("train", files.train.model, files.train.summary):
            job.check_training()
        engine = job.engine()
        for each in tasks:
            record.stage(job.named("mine", each), job.part(each).mine.summary, partial(job.mine, each, engine))
        del engine  # before training takes the memory
        record.stage("train", files.train.model, job.train, files.train.summary)
        for label in (VANILLA, TRAINED):
            engine = job.engine(label)
            for each in tasks:
                product = job.part(each).evaluation(label).figures
                record.stage(job.named("eval", each, label), product, partial(job.evaluate, each, label, engine))
        # Always rewritten: they are cheap, are not believed unseen, and a newer rrr may draw the page better.
        for each in tasks:
            record.stage(job.named("compare", each), job.part(each).comparison, partial(job.compare, each), again=True)
        record.stage("report", files.report, job.report, again=True)
    comparisons = {each.name: read_json(job.part(each).comparison) for each in tasks}
    return RunResult(folder, comparisons, files.report, record.spent(folder))


@dataclass(frozen=True)
class _Job:
    """The work of each stage. The results are written to the run folder, nothing is returned."""

    tasks: Sequence[OpenTask]
    settings: RunSettings
    files: RunFolder
    progress: Progress

    def named(self, stage: str, task: OpenTask, *more: str) -> str:
        """The name of a stage in the run's record: of several tasks, each has its own."""
        return " ".join([stage, *([task.name] if len(self.tasks) > 1 else []), *more])

    def part(self, task: OpenTask) -> RunFolder:
        """Where a task is mined and evaluated."""
        return self.files.of_task(task.name) if len(self.tasks) > 1 else self.files

    def engine(self, label: str = VANILLA) -> Callable[[], Engine]:
        """Opens the engine of a model once, when the first task needs it."""

        def opened() -> Engine:
            model = self._model()
            return open_engine(
                model if label == VANILLA else trained_model(model, self.files.train.path), self.progress
            )

        return cache(opened)

    def check_training(self) -> None:
        """Refuse what training would refuse after hours of mining."""
        from rrr_core.training.preflight import check_before_training
        from rrr_core.training.rewards import check_task_rewards
        from rrr_core.training.shares import shares_of

        with options_of("train"):
            several = len(self.tasks) > 1
            shares_of(self.settings.train.weights, [each.name if several else None for each in self.tasks])
            for each in self.tasks:
                check_task_rewards(self.settings.train.reward, each.task, lambda _: None)  # said when training starts
            check_before_training(self._model(), self.files.train.path, self.settings.train, self.progress.say)

    def mine(self, task: OpenTask, engine: Callable[[], Engine]) -> None:
        from rrr_core.mining import mine

        opened, folder, verify = engine(), self.part(task).mine.path, self.settings.verify
        with options_of("mine"):
            mine(task.task, opened, folder, self.settings.mine, task.data, self.progress, verify)

    def train(self) -> None:
        from rrr_core.training.run import train

        failures = failures_in({each.name: self.part(each).mine.path for each in self.tasks})
        folder, verify = self.files.train.path, self.settings.verify
        tasks = [each.task for each in self.tasks]
        with options_of("train"):
            train(tasks, failures, self._model(), folder, self.settings.train, self.progress, verify)

    def evaluate(self, task: OpenTask, label: str, engine: Callable[[], Engine]) -> None:
        from rrr_core.evaluation import evaluate

        opened, folder, verify = engine(), self.part(task).evaluation(label).path, self.settings.verify
        with options_of("eval"):
            evaluate(task.task, opened, folder, label, self.settings.eval, task.data, self.progress, verify)

    def _model(self) -> ModelSettings:
        return with_date(self.settings.model, self.files.path)

    def compare(self, task: OpenTask) -> None:
        from rrr_core.evaluation import compare

        files = self.part(task)
        compare([files.evaluation(label).path for label in (VANILLA, TRAINED)], files.comparison)

    def report(self) -> None:
        from rrr_core.report import write_report

        write_report([self.files.path], self.files.report, self.progress.say)


def failures_in(folders: Mapping[str, Path]) -> list[Failure]:
    """The failures of each task's failure set; of several tasks, each knows its own. Raises as `read_failures`."""
    from rrr_core.mining.failure_set import failures_of_several, read_failures

    sets = {name: read_failures(folder) for name, folder in folders.items()}
    return next(iter(sets.values())) if len(sets) == 1 else failures_of_several(sets)
