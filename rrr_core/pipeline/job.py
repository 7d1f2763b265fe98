"""A whole run in one folder: mine → train → evaluate before and after → compare → report.

Each stage resumes where it stopped; finished stages are skipped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rrr_core.evaluation.deciding import check_deciders
from rrr_core.generation import ModelSettings
from rrr_core.pipeline.naming import options_of
from rrr_core.pipeline.opening import (
    check_trainable,
    choose_model,
    open_engine,
    open_task,
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
from rrr_core.tasks import Task


@dataclass(frozen=True)
class RunResult:
    """The results of a finished run."""

    folder: Path
    comparison: Mapping[str, Any]
    """The content of `comparison.json`."""
    report: Path
    spent: Spent
    """Time and tokens spent by all stages over all calls."""


def run(settings: RunSettings, folder: Path, progress: Progress | None = None) -> RunResult:
    """Run all stages in `folder`, or resume those that are not finished.

    Raises RrrError if the folder was started with other settings, naming the first difference.
    """
    progress = progress or Progress()
    task = open_task(settings.task)
    settings = dataclasses.replace(settings, model=choose_model(settings.model, task))
    refuse_server(settings.model)
    with options_of("eval"):
        check_deciders(task, settings.eval.decide, settings.verify)
    with options_of("train"):
        check_trainable(settings.model, adapts=settings.train.lora_rank > 0)
    with stage_lock(folder, progress):
        record = RunRecord.open(folder, identity_of(settings, task), progress)
        files = RunFolder(folder)
        job = _Job(task, settings, files, progress)
        if not record.is_finished("train", files.train.model, files.train.summary):
            job.check_training()
        record.stage("mine", files.mine.summary, job.mine)
        record.stage("train", files.train.model, job.train, files.train.summary)
        for label in (VANILLA, TRAINED):
            record.stage(f"eval {label}", files.evaluation(label).figures, partial(job.evaluate, label))
        # Always rewritten: they are cheap, are not believed unseen, and a newer rrr may draw the page better.
        record.stage("compare", files.comparison, job.compare, again=True)
        record.stage("report", files.report, job.report, again=True)
    return RunResult(folder, read_json(files.comparison), files.report, record.spent(folder))


@dataclass(frozen=True)
class _Job:
    """The work of each stage. The results are written to the run folder, nothing is returned."""

    task: Task
    settings: RunSettings
    files: RunFolder
    progress: Progress

    def check_training(self) -> None:
        """Refuse what training would refuse after hours of mining."""
        from rrr_core.answering import check_max_steps
        from rrr_core.training.preflight import check_before_training
        from rrr_core.training.rewards import check_task_rewards

        with options_of("train"):
            check_task_rewards(self.settings.train.reward, self.task, lambda _: None)  # said when training starts
            check_max_steps(self.task, self.settings.train.max_steps)
            check_before_training(
                self._model(), self.files.train.path, self.settings.train, self.progress.say, self.task.has_steps
            )

    def mine(self) -> None:
        from rrr_core.mining import mine

        engine = open_engine(self._model(), self.progress)
        folder, data = self.files.mine.path, self.settings.task.data
        with options_of("mine"):
            mine(self.task, engine, folder, self.settings.mine, data, self.progress, self.settings.verify)

    def train(self) -> None:
        from rrr_core.mining.failure_set import read_failures
        from rrr_core.training.run import train

        failures = read_failures(self.files.mine.path)
        folder, verify = self.files.train.path, self.settings.verify
        with options_of("train"):
            train(self.task, failures, self._model(), folder, self.settings.train, self.progress, verify)

    def evaluate(self, label: str) -> None:
        from rrr_core.evaluation import evaluate

        model = self._model()
        if label != VANILLA:
            model = trained_model(model, self.files.train.path)
        engine = open_engine(model, self.progress)
        folder, data = self.files.evaluation(label).path, self.settings.task.data
        with options_of("eval"):
            evaluate(self.task, engine, folder, label, self.settings.eval, data, self.progress, self.settings.verify)

    def _model(self) -> ModelSettings:
        return with_date(self.settings.model, self.files.path)

    def compare(self) -> None:
        from rrr_core.evaluation import compare

        compare([self.files.evaluation(label).path for label in (VANILLA, TRAINED)], self.files.comparison)

    def report(self) -> None:
        from rrr_core.report import write_report

        write_report([self.files.path], self.files.report, self.progress.say)
