"""The pipeline: all stages of a run in order, in one folder."""

from rrr_core.pipeline.job import RunResult, run
from rrr_core.pipeline.opening import (
    check_trainable,
    choose_model,
    open_engine,
    open_task,
    open_tasks,
    trained_model,
    with_date,
)
from rrr_core.pipeline.settings import RunSettings
from rrr_core.pipeline.stages import failures_in
from rrr_core.pipeline.transfer import Transferred, transfer
from rrr_core.pipeline.workers import Workers

__all__ = [
    "RunResult",
    "RunSettings",
    "Transferred",
    "Workers",
    "check_trainable",
    "choose_model",
    "failures_in",
    "open_engine",
    "open_task",
    "open_tasks",
    "run",
    "trained_model",
    "transfer",
    "with_date",
]
