"""What was found on a machine, one thing at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "broken", "unknown"]
GROUPS = ("machine", "packages", "engines", "tasks", "sandbox")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that rrr can use."""

    group: str
    """One of `GROUPS`."""
    name: str
    state: State
    """`ok`; `missing`: not there, and not needed by everyone; `broken`: there, and does not work; `unknown`."""
    detail: str
    """What was found, in one line."""
    cost: str = ""
    """What cannot be done without it, and what to do about it."""
