"""A finding: one thing that rrr can use, and its state on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "broken", "unknown"]
GROUPS = ("machine", "packages", "engines", "tasks", "sandbox")
"""What a machine is examined for, in order."""
MODEL = "model"
"""The group of what a model is examined for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that rrr can use, and its state on this machine."""

    group: str
    """One of `GROUPS`, or `MODEL`."""
    name: str
    state: State
    """`ok`; `missing`: absent, and not needed by everyone; `broken`: present, but does not work; `unknown`."""
    detail: str
    """What was found, in one line."""
    cost: str = ""
    """What cannot be done without it, and how to fix that."""
