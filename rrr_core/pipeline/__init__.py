"""The pipeline: all stages of a run, one after the other, in one folder."""

from rrr_core.pipeline.job import RunResult, run
from rrr_core.pipeline.opening import choose_model, open_generator, open_task, refuse_server, trained_model
from rrr_core.pipeline.settings import RunSettings

__all__ = [
    "RunResult",
    "RunSettings",
    "choose_model",
    "open_generator",
    "open_task",
    "refuse_server",
    "run",
    "trained_model",
]
