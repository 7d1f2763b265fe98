"""The result of a check: its states, its record, and the exceptions that a check raises if it does not pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

State = Literal["passed", "failed", "skipped", "cannot be judged", "fault"]
STATES: tuple[State, ...] = ("passed", "failed", "skipped", "cannot be judged", "fault")
"""`skipped`: the check does not apply, or waits for another. `fault`: rrr itself failed, not the plugin."""

PAGE = "rrr docs checks.md"
"""The command that prints the page with a heading for each check."""

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one check."""

    name: str
    state: State
    message: str = ""
    """Why it did not pass, in one line: who, what was found, what to do, and where to read more."""
    note: str = ""
    """What a passed check looked at, in a few words."""
    seconds: float = 0.0
    figures: Figures = field(default_factory=dict)
    """What was measured, such as `mutation_score`."""
    waits_for: str = ""
    """The check that has to pass first, if that is why this one is skipped."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a passing check reports."""

    note: str = ""
    figures: Figures = field(default_factory=dict)


class Violation(Exception):
    """The plugin does not do what the check wants."""

    def __init__(self, found: str, remedy: str, figures: Figures | None = None) -> None:
        """`found` says what is wrong, with safe quotes; `remedy` says what to do."""
        super().__init__(f"{found} {remedy}")
        self.figures: Figures = figures or {}


class NotApplicable(Exception):
    """There is nothing to check. The text says why."""


class Faulty(Exception):
    """Something that several checks need is missing. The check `owner` reports it; the others wait for that check."""

    def __init__(self, owner: str, text: str, state: State = "failed") -> None:
        """`state` is the owner's state: `cannot be judged` if the user has something to fix."""
        super().__init__(text)
        self.owner = owner
        self.state = state


def exit_code(results: Sequence[Result]) -> int:
    """0 if all passed, 1 if a check failed, 2 if one could not be judged, 3 if rrr itself failed.

    A fault of rrr overrides all, and a failed check overrides one that could not be judged.
    """
    states = {result.state for result in results}
    return 3 if "fault" in states else 1 if "failed" in states else 2 if "cannot be judged" in states else 0
