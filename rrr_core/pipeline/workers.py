"""Who does the work of mining and evaluation: this process, the processes of its launch, or a cluster's actors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rrr_core.cluster.settings import ClusterSettings
from rrr_core.errors import RrrError
from rrr_core.generation import Engine, ModelSettings
from rrr_core.mining import MineSettings
from rrr_core.pipeline.opening import OpenTask, open_engine
from rrr_core.processes.shards import Executor, ThisProcess
from rrr_core.progress import Progress
from rrr_core.verification import VerifySettings

if TYPE_CHECKING:
    from rrr_core.evaluation import EvalSettings
    from rrr_core.mining.tally import MiningSummary


@dataclass
class Workers(AbstractContextManager["Workers"]):
    """An engine for a model, and who works with it. Both are opened when they are first needed; `with` ends them.

    With a cluster in the settings its actors have the engines, and `executor` must be this process alone.
    """

    model: Callable[[], ModelSettings]
    cluster: ClusterSettings
    executor: Executor = field(default_factory=ThisProcess)
    """Who works on shards if no cluster does."""
    progress: Progress = field(default_factory=Progress)
    verify: VerifySettings | None = None
    _opened: ExitStack = field(default_factory=ExitStack)

    def mine(self, task: OpenTask, folder: Path, settings: MineSettings) -> MiningSummary:
        """Mine a task's failure set into a folder, or resume. Raises as `rrr_core.mining.mine`."""
        from rrr_core.mining import mine

        engine, executor = self.both
        given = task.task, engine, folder, task.fitting(settings), task.data
        return mine(*given, self.progress, self.verify, executor)

    def evaluate(self, task: OpenTask, folder: Path, label: str, settings: EvalSettings) -> None:
        """Evaluate the model on a task into a folder, or resume. Raises as `rrr_core.evaluation.evaluate`."""
        from rrr_core.evaluation import assist_evaluation, evaluate

        engine, executor = self.both
        if executor.leads:
            given = task.task, engine, folder, label, task.fitting(settings), task.data
            evaluate(*given, self.progress, self.verify, executor)
        else:
            assist_evaluation(task.task, engine, folder, task.fitting(settings), task.data, executor, self.verify)

    @cached_property
    def both(self) -> tuple[Engine, Executor]:
        """The engine, and who works on shards. Raises ModelError, and RrrError for a cluster that cannot be joined."""
        if not self.cluster.ray:
            return open_engine(self.model(), self.progress), self.executor
        if not isinstance(self.executor, ThisProcess):
            raise RrrError("--ray: one process gives the actors their shards: leave out --processes, or the launcher.")
        from rrr_core.cluster.driver import Actors
        from rrr_core.cluster.on_ray import RayPool

        model = self.model()
        pool = RayPool(self.cluster)
        actors = self._opened.enter_context(Actors(pool, pool.wanted, model, self.verify, self.progress))
        self.progress.say(f"Loading {model.model} in {pool.wanted} actors on Ray: the cluster has {pool.room()}")
        engine = actors.engine
        if engine.notice:
            self.progress.say(engine.notice)
        return engine, actors

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__dict__.pop("both", None)  # its memory may be needed by what comes next
        self._opened.close()
