"""The pipeline: all stages of a run in order, in one folder."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rrr_core.pipeline.job import RunResult, run
    from rrr_core.pipeline.opening import (
        check_trainable,
        choose_model,
        open_engine,
        open_task,
        open_tasks,
        own_model_note,
        trained_model,
        with_date,
    )
    from rrr_core.pipeline.settings import RunSettings
    from rrr_core.pipeline.stages import failures_in
    from rrr_core.pipeline.transferring import Transferred, transfer
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
    "own_model_note",
    "run",
    "trained_model",
    "transfer",
    "with_date",
]

_MODULES = {
    "job": ("RunResult", "run"),
    "opening": (
        "check_trainable",
        "choose_model",
        "open_engine",
        "open_task",
        "open_tasks",
        "own_model_note",
        "trained_model",
        "with_date",
    ),
    "settings": ("RunSettings",),
    "stages": ("failures_in",),
    "transferring": ("Transferred", "transfer"),
    "workers": ("Workers",),
}
"""Module → its names here, imported on demand: a command that only mines imports neither training nor evaluation.

None of the names may be a module's.
"""


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
