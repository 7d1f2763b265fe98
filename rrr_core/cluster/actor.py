"""What works on another machine: it builds engine, task and judge once, and makes the records of a shard at a time."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import rrr_core
from rrr_core.cluster.messages import MINE, Work, failed, read_job, written
from rrr_core.errors import PluginError, RrrError
from rrr_core.evaluation.deciding import make_deciders
from rrr_core.evaluation.settings import EvalSettings
from rrr_core.evaluation.work import EvaluationWork
from rrr_core.generation import Engine, ModelSettings, make_engine
from rrr_core.generation.measured import measured
from rrr_core.mining.settings import MineSettings
from rrr_core.mining.shards import MiningWork
from rrr_core.profiling.profile import Profile
from rrr_core.runs.files import decoded
from rrr_core.runs.stage import first_difference
from rrr_core.tasks import Task, load_task
from rrr_core.verification import Judge, VerifySettings

MakeEngine = Callable[[ModelSettings], Engine]
LoadTask = Callable[[str, list[str]], Task]


@dataclass(frozen=True)
class _Built:
    """The work of one stage on one task, with what was opened for it."""

    request: str
    work: Work
    opened: ExitStack


class ShardActor:
    """One engine, and the work that it was last asked to do. Takes and gives texts; see `messages`."""

    def __init__(self, make: MakeEngine = make_engine, load: LoadTask = load_task) -> None:
        self._make, self._load = make, load
        self._engine: Engine | None = None
        self._built: _Built | None = None

    def hello(self) -> str:
        """The machine's name: the actor is there."""
        return written({"host": socket.gethostname()})

    def open(self, request: str) -> str:
        """Load the model, and say what it is."""
        return _answered(lambda: self._open(decoded(request)))

    def make(self, request: str, job: str) -> str:
        """The records of a shard, as JSON, and what it took."""
        return _answered(lambda: self._made(request, job))

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        if (core := request["core"]) != rrr_core.__version__:
            raise PluginError(
                f"rrr-core {rrr_core.__version__} is installed there, and {core} here: install one version on all."
            )
        # The driver's folder, on machines that share it: names of folders there mean the same here.
        if Path(request["folder"]).is_dir():
            os.chdir(request["folder"])
        engine = self._engine = self._make(ModelSettings(**request["model"]))
        return {
            "host": socket.gethostname(),
            "model": asdict(engine.model),
            "described": engine.describe(),
            "thinks": engine.thinks,
            "notice": engine.notice,
        }

    def _made(self, request: str, job: str) -> dict[str, Any]:
        assert self._engine is not None
        if self._built is None or self._built.request != request:
            if self._built is not None:
                self._built.opened.close()
            self._built = self._build(self._engine, request)
        work = self._built.work
        before = work.profile.spent()
        records = work.make(read_job(job))
        return {
            "lines": [record.to_json() for record in records],
            "spent": work.profile.spent().minus(before).to_json(),
            "notice": self._engine.notice,
            "findings": dict(self._engine.findings),
        }

    def _build(self, engine: Engine, request: str) -> _Built:
        asked = decoded(request)
        task = self._load(asked["task"], asked["overlays"])
        if difference := first_difference(decoded(written(task.provenance())), asked["provenance"]):
            key, there, here = difference
            raise PluginError(
                f"the task {task.name!r} has {key} {there!r} there, and {here!r} here: install one version on all."
            )
        opened = ExitStack()
        return _Built(request, _work(asked, task, engine, opened), opened)


def _work(asked: dict[str, Any], task: Task, engine: Engine, opened: ExitStack) -> Work:
    """The work that was asked for; `opened` closes it. The driver holds the limits against what all actors withheld."""
    profile, verify = Profile(), VerifySettings(**asked["verify"])
    judge = opened.enter_context(Judge(task, 1.0, settings=verify, profile=profile, max_no_answer=1.0))
    made = task, measured(engine, profile), judge
    if asked["stage"] == MINE:
        return MiningWork(*made, MineSettings(**asked["settings"]))
    settings = EvalSettings(**asked["settings"])
    deciders = make_deciders(task, settings.decide, 1.0, verify, profile)
    for decider in deciders:
        opened.callback(decider.close)
    return EvaluationWork(*made, settings, deciders)


def _answered(work: Callable[[], dict[str, Any]]) -> str:
    """The answer as a text; an error that a person can fix is one as well."""
    try:
        return written(work())
    except RrrError as error:
        return failed(error, socket.gethostname())
    except ModuleNotFoundError as error:
        missing = RrrError(
            f"the module {error.name} is not installed there: install on all machines what this one has."
        )
        return failed(missing, socket.gethostname())
