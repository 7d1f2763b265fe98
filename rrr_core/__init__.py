"""rrr: tasks with binary verifiers, and the trainer that teaches a language model to reflect on its failures.

A task plugin needs only the names exported here. Importing this package does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rrr_core.hookspecs import (
    Action,
    Call,
    DataOption,
    Example,
    Manifest,
    Message,
    Model,
    Prompt,
    Row,
    Step,
    final,
    hookimpl,
    observed,
    trusted,
)
from rrr_core.rewards import from_reward
from rrr_core.verdicts import Verdict, failed, passed, withheld

if TYPE_CHECKING:
    from rrr_core.report.frames import read_run

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Call",
    "DataOption",
    "Example",
    "Manifest",
    "Message",
    "Model",
    "Prompt",
    "Row",
    "Step",
    "Verdict",
    "failed",
    "final",
    "from_reward",
    "hookimpl",
    "observed",
    "passed",
    "read_run",
    "trusted",
    "withheld",
]


def __getattr__(name: str) -> Any:
    """`read_run` is for notebooks, so a plugin's author does not wait for what it needs."""
    if name == "read_run":
        from rrr_core.report.frames import read_run

        return read_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
