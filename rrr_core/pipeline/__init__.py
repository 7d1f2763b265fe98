"""The pipeline: all stages of a run in order, in one folder."""

from rrr_core.pipeline.job import RunResult, run
from rrr_core.pipeline.opening import check_trainable, choose_model, open_engine, open_task, trained_model, with_date
from rrr_core.pipeline.settings import RunSettings

__all__ = [
    "RunResult",
    "RunSettings",
    "check_trainable",
    "choose_model",
    "open_engine",
    "open_task",
    "run",
    "trained_model",
    "with_date",
]
