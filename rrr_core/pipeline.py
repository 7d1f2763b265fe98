"""The whole job in one run folder: mine → train → evaluate before and after → compare → report.

Layout of a run folder: `run.json` (what made it, and the state of each stage), `mine/`, `train/`, `eval/LABEL/`,
`eval/comparison.json`, `report.html`. Each stage resumes by itself; what is finished is not done again.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrr_core.configuration import TaskSettings
from rrr_core.errors import DataError, ModelError, RrrError
from rrr_core.evaluation import EvalSettings
from rrr_core.files import read_json, write_json
from rrr_core.generation import ModelSettings
from rrr_core.generation.base import notice_of
from rrr_core.mining import MineSettings
from rrr_core.profile import read_profile
from rrr_core.progress import Progress
from rrr_core.runs import RUN_RECORD, about_this_run, check_identity, holds_nothing, stage_lock
from rrr_core.spent import Spent
from rrr_core.tasks import Task, load_task
from rrr_core.training.settings import MAY_CHANGE as TRAIN_MAY_CHANGE
from rrr_core.training.settings import TrainSettings
from rrr_core.verification.settings import VerifySettings

if TYPE_CHECKING:
    from rrr_core.generation.base import Generator

VANILLA, TRAINED = "vanilla", "trained"
MAY_CHANGE = TRAIN_MAY_CHANGE | {"api_key_env", "concurrency", "timeout", "retries"}
"""Settings that may differ between two calls on one folder: they decide how fast, or when to stop, not what."""


@dataclass(frozen=True)
class RunSettings:
    """All that decides a run."""

    task: TaskSettings
    model: ModelSettings
    mine: MineSettings
    train: TrainSettings
    eval: EvalSettings
    verify: VerifySettings = dataclasses.field(default_factory=VerifySettings)
    """Where verdicts are made and within what limits: no part of what identifies the run."""


@dataclass(frozen=True)
class RunResult:
    """Where a finished run's products are."""

    folder: Path
    comparison: Mapping[str, Any]
    """What `comparison.json` holds."""
    report: Path
    spent: Spent
    """What all stages and calls have spent together."""


def open_task(settings: TaskSettings) -> Task:
    """The task that the settings name. Raises PluginError, or RrrError where they name none."""
    if not settings.name:
        raise RrrError("no task was named: give its name, or set name in section [task] of the file; see `rrr tasks`.")
    return load_task(settings.name, settings.with_)


def choose_model(settings: ModelSettings, task: Task) -> ModelSettings:
    """The settings with the task's own model where the user names none. Raises ModelError where there is neither."""
    if settings.model:
        return settings
    model = task.default_model()
    if not model:
        raise ModelError(f"task {task.name!r} has no model of its own: name one with --model.")
    return dataclasses.replace(settings, model=model)


def refuse_server(settings: ModelSettings) -> None:
    """Raise ModelError for a model that cannot be trained, since only its server has the weights."""
    if settings.backend == "server" or settings.base_url:
        raise ModelError("a model behind a server cannot be trained: name its weights with --model, without --backend.")


def open_generator(settings: ModelSettings, progress: Progress) -> Generator:
    """The engine that the settings name. Says so first, since torch and a large model take their time."""
    from rrr_core.generation import make_generator

    progress.say(f"Loading {settings.model}")
    generator = make_generator(settings)
    if notice := notice_of(generator):
        progress.say(notice)
    return generator


def run(settings: RunSettings, folder: Path, progress: Progress | None = None) -> RunResult:
    """Do the whole job in `folder`, or what is left of it.

    Raises RrrError where the folder was begun with other settings, naming the first difference.
    """
    progress = progress or Progress()
    task = open_task(settings.task)
    settings = dataclasses.replace(settings, model=choose_model(settings.model, task))
    refuse_server(settings.model)
    with stage_lock(folder, progress):
        record = RunRecord.open(folder, identity_of(settings, task), progress)
        job = _Job(task, settings, folder, progress)
        record.stage("mine", folder / "mine", job.mine)
        record.stage("train", folder / "train" / "model", job.train)
        for label in (VANILLA, TRAINED):
            record.stage(f"eval {label}", _figures(folder, label), partial(job.evaluate, label))
        record.stage("compare", _comparison(folder), job.compare)
        # Always written anew: it is cheap, and a newer rrr may draw it better.
        record.stage("report", folder / "report.html", job.report, again=True)
    return RunResult(folder, read_json(_comparison(folder)), folder / "report.html", record.spent(folder))


def identity_of(settings: RunSettings, task: Task) -> dict[str, Any]:
    """What decides a run's results, as JSON."""
    identity = dataclasses.asdict(settings)
    del identity["verify"]
    for section in ("model", "mine", "train", "eval"):
        identity[section] = {name: value for name, value in identity[section].items() if name not in MAY_CHANGE}
    identity["task"] = {**task.provenance(), "data": dict(settings.task.data)}
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain


def trained_model(settings: ModelSettings, folder: Path) -> ModelSettings:
    """The model that training left in `folder`: whole weights, or an adapter on the model it started from."""
    model = folder / "model"
    if (model / "adapter_config.json").exists():
        return dataclasses.replace(settings, adapter=str(model))
    return dataclasses.replace(settings, model=str(model), revision=None)


@dataclass(frozen=True)
class _Job:
    """The stages' work. Each gives nothing: what it made is in the run folder."""

    task: Task
    settings: RunSettings
    folder: Path
    progress: Progress

    def mine(self) -> None:
        from rrr_core.mining import mine

        generator = open_generator(self.settings.model, self.progress)
        folder, data = self.folder / "mine", self.settings.task.data
        mine(self.task, generator, folder, self.settings.mine, data, self.progress, self.settings.verify)

    def train(self) -> None:
        from rrr_core.failure_sets import read_failures
        from rrr_core.training.run import train

        failures = read_failures(self.folder / "mine")
        folder, verify = self.folder / "train", self.settings.verify
        train(self.task, failures, self.settings.model, folder, self.settings.train, self.progress, verify)

    def evaluate(self, label: str) -> None:
        from rrr_core.evaluation import evaluate

        model = self.settings.model
        generator = open_generator(
            model if label == VANILLA else trained_model(model, self.folder / "train"), self.progress
        )
        folder, data = self.folder / "eval" / label, self.settings.task.data
        evaluate(self.task, generator, folder, label, self.settings.eval, data, self.progress, self.settings.verify)

    def compare(self) -> None:
        from rrr_core.evaluation import compare

        compare([self.folder / "eval" / label for label in (VANILLA, TRAINED)], _comparison(self.folder))

    def report(self) -> None:
        from rrr_core.report import write_report

        write_report([self.folder], self.folder / "report.html")


def _figures(folder: Path, label: str) -> Path:
    return folder / "eval" / label / "figures.json"


def _comparison(folder: Path) -> Path:
    return folder / "eval" / "comparison.json"


class RunRecord:
    """`run.json`: what made the folder, and each stage's state: `running`, `finished`, `interrupted` or `failed`."""

    def __init__(self, path: Path, content: dict[str, Any], progress: Progress) -> None:
        self.path = path
        self.content = content
        self.progress = progress

    @classmethod
    def open(cls, folder: Path, identity: Mapping[str, Any], progress: Progress) -> RunRecord:
        """Begin or resume the run in `folder`; one that made nothing yet is begun anew.

        Raises RrrError where it was begun with another identity.
        """
        path = folder / RUN_RECORD
        content: Any = None
        if path.exists():
            content = read_json(path)
            if not isinstance(content, dict) or content.get("kind") != "run" or "identity" not in content:
                raise DataError(f"{path}:1: not the record of a run: use another folder.")
        if content is None or (content["identity"] != identity and holds_nothing(folder)):
            content = {"kind": "run", "identity": identity, "about": about_this_run(), "created": _now(), "stages": {}}
        check_identity(folder, content["identity"], identity)
        record = cls(path, content, progress)
        record._write()
        return record

    def stage(self, name: str, product: Path, work: Callable[[], None], again: bool = False) -> None:
        """Do a stage's work, unless it is finished and its product is there."""
        stages = self.content["stages"]
        if not again and stages.get(name, {}).get("state") == "finished" and product.exists():
            self.progress.say(f"{name}: finished earlier")
            return
        started = time.monotonic()
        before = stages.get(name, {}).get("seconds", 0.0)
        entry = stages[name] = {"state": "running", "began": _now()}
        self._write()
        try:
            work()
            entry["state"] = "finished"
        except BaseException as error:
            entry["state"] = "failed" if isinstance(error, Exception) else "interrupted"
            entry["why"] = f"{type(error).__name__}: {error}"
            raise
        finally:
            entry["ended"] = _now()
            entry["seconds"] = round(before + time.monotonic() - started, 1)
            self._write()

    def spent(self, folder: Path) -> Spent:
        """The stages' profiles added up, over the wall time of all stages; no more than that where one has no profile.

        Loading a model to mine or evaluate is in the wall time and in no profile.
        """
        stages = [folder / "mine", folder / "train", *(folder / "eval" / label for label in (VANILLA, TRAINED))]
        profiles = [read_profile(stage) for stage in stages]
        known = [profile for profile in profiles if profile is not None]
        together = reduce(Spent.plus, known if len(known) == len(profiles) else [], Spent())
        recorded = sum(entry.get("seconds", 0.0) for entry in self.content["stages"].values())
        # A killed call has told its profiles, and not this record.
        return dataclasses.replace(together, wall_seconds=max(recorded, together.wall_seconds))

    def _write(self) -> None:
        write_json(self.path, self.content)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
