"""The work of each stage of a run, in the folder that is the stage's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rrr_core.config.naming import options_of
from rrr_core.episode import Failure
from rrr_core.generation import ModelSettings
from rrr_core.pipeline.opening import OpenTask, trained_model, with_date
from rrr_core.pipeline.settings import RunSettings
from rrr_core.pipeline.workers import Workers
from rrr_core.processes.shards import Executor, ThisProcess
from rrr_core.progress import Progress
from rrr_core.runs.layout import RunFolder, TrainFolder
from rrr_core.training.settings import TrainSettings


@dataclass(frozen=True)
class Stages:
    """The work of each stage. The results are written to the run folder, nothing is returned."""

    tasks: Sequence[OpenTask]
    settings: RunSettings
    files: RunFolder
    progress: Progress
    executor: Executor = field(default_factory=ThisProcess)
    """Who works on the shards of mining and evaluation; it is the same in every stage."""

    def named(self, stage: str, task: OpenTask, *more: str) -> str:
        """The name of a stage in the run's record: of several tasks, each has its own."""
        return " ".join([stage, *([task.name] if len(self.tasks) > 1 else []), *more])

    def part(self, task: OpenTask) -> RunFolder:
        """Where a task is mined and evaluated."""
        return self.files.of_task(task.name) if len(self.tasks) > 1 else self.files

    def workers(self, trained: TrainFolder | None = None) -> Workers:
        """Who works with the untrained model, or with a trained one."""

        def model() -> ModelSettings:
            return self._model() if trained is None else trained_model(self._model(), trained.path)

        return Workers(model, self.settings.cluster, self.executor, self.progress, self.settings.verify)

    def check_training(self, tasks: Sequence[OpenTask], folder: TrainFolder, settings: TrainSettings) -> None:
        """Refuse what training would refuse after hours of mining."""
        from rrr_core.answering import check_max_steps
        from rrr_core.training.preflight import check_before_training
        from rrr_core.training.rewards import check_task_rewards
        from rrr_core.training.shares import shares_of

        with options_of("train"):
            shares_of(settings.weights, [each.name if len(tasks) > 1 else None for each in tasks])
            check_max_steps([each.task for each in tasks], settings.max_steps)
            for each in tasks:
                check_task_rewards(settings.reward, each.task, lambda _: None)  # said when training starts
            has_steps = any(each.task.has_steps for each in tasks)
            check_before_training(self._model(), folder.path, settings, self.progress.notice, has_steps)

    def mine(self, task: OpenTask, workers: Workers) -> None:
        with options_of("mine"):
            workers.mine(task, self.part(task).mine.path, self.settings.mine)

    def train(self, tasks: Sequence[OpenTask], folder: TrainFolder, settings: TrainSettings) -> None:
        from rrr_core.training.run import train

        failures = failures_in({each.name: self.part(each).mine.path for each in tasks})
        given = [each.task for each in tasks]
        with options_of("train"):
            train(
                given,
                failures,
                self._model(),
                folder.path,
                settings,
                self.progress,
                self.settings.verify,
                self.executor,
            )

    def evaluate(self, task: OpenTask, label: str, workers: Workers) -> None:
        with options_of("eval"):
            workers.evaluate(task, self.part(task).evaluation(label).path, label, self.settings.eval)

    def _model(self) -> ModelSettings:
        return with_date(self.settings.model, self.files.path)

    def compare(self, task: OpenTask, labels: Sequence[str]) -> None:
        from rrr_core.evaluation import compare

        files = self.part(task)
        compare([files.evaluation(label).path for label in labels], files.comparison)

    def report(self) -> None:
        from rrr_core.report import write_report

        write_report([self.files.path], self.files.report, self.progress.say)


def failures_in(folders: Mapping[str, Path]) -> list[Failure]:
    """The failures of each task's failure set; of several tasks, each knows its own. Raises as `read_failures`."""
    from rrr_core.mining.failure_set import failures_of_several, read_failures

    sets = {name: read_failures(folder) for name, folder in folders.items()}
    return next(iter(sets.values())) if len(sets) == 1 else failures_of_several(sets)
