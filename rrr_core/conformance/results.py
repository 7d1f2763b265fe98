"""What comes of a check: its states, its record, and the exceptions by which a check says that it is not passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

State = Literal["passed", "failed", "skipped", "cannot be judged", "fault"]
STATES: tuple[State, ...] = ("passed", "failed", "skipped", "cannot be judged", "fault")
"""`skipped` is for a check that does not apply, or waits for another; `fault` is ours and not the plugin's."""

PAGE = "rrr docs checks.md"
"""The command that prints the page with a heading for each check."""

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check."""

    name: str
    state: State
    message: str = ""
    """Why it is not passed, in one line: who, what was found, what to do, and where that is explained."""
    note: str = ""
    """What a passed check looked at, in a few words."""
    seconds: float = 0.0
    figures: Figures = field(default_factory=dict)
    """What was measured, such as `mutation_score`."""
    waits_for: str = ""
    """The check that has to pass first, where a check is skipped for that."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check that passes has to tell."""

    note: str = ""
    figures: Figures = field(default_factory=dict)


class Violation(Exception):
    """The plugin does not do what the check wants."""

    def __init__(self, found: str, remedy: str, figures: Figures | None = None) -> None:
        """`found` says what, quoting safely; `remedy` says what to do."""
        super().__init__(f"{found} {remedy}")
        self.figures: Figures = figures or {}


class NotApplicable(Exception):
    """There is nothing to check. The text says why."""


class Faulty(Exception):
    """Something that several checks need is not there. The one check `owner` tells of it; the others wait for it."""

    def __init__(self, owner: str, text: str, state: State = "failed") -> None:
        """`state` is what the owner comes to: `cannot be judged` where the user has something to mend."""
        super().__init__(text)
        self.owner = owner
        self.state = state


def counted(number: int, noun: str, several: str = "") -> str:
    """
    >>> counted(1, "class", "classes"), counted(2_000, "row")
    ('1 class', '2,000 rows')
    """
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def exit_code(results: Sequence[Result]) -> int:
    """0 where all passed, 1 where a check failed, 2 where one could not be judged, 3 where a fault is ours.

    The fault goes before all, and a failed check before one that could not be judged.
    """
    states = {result.state for result in results}
    return 3 if "fault" in states else 1 if "failed" in states else 2 if "cannot be judged" in states else 0
