"""Titles of figures, gains and controls on the page: those of the evaluation, typeset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rrr_core.evaluation.by_round import SHARES
from rrr_core.evaluation.controls import CONTROLS
from rrr_core.evaluation.figures import FIGURES
from rrr_core.evaluation.reflection_kinds import KINDS


@dataclass(frozen=True, slots=True)
class Words:
    """Names in `figures.json` and in episodes → their titles, in the page's order."""

    figures: dict[str, str]
    gains: dict[str, str]
    controls: dict[str, str]
    """A control's key → the title of its answer."""
    rounds: dict[str, str]
    """A share in the figures of a round → its title."""
    round_controls: dict[str, list[str]]
    """A control's key → its short title after each of the first rounds."""
    kinds: dict[str, list[Any]]
    """A kind of reflection → its title, its rule, and whether it is a leak."""


def words(rounds: int = 1) -> Words:
    """The titles on a page whose evaluations have at most that many rounds."""
    return Words(
        figures={figure.key: typeset(figure.heading) for figure in FIGURES},
        gains={control.gain: f"over {typeset(control.short, capital=False)}" for control in CONTROLS},
        controls={control.key: typeset(control.answer, capital=False) for control in CONTROLS},
        rounds={name: typeset(title, capital=False) for name, title in SHARES.items()},
        round_controls={
            control.key: [typeset(control.short_after(number + 1), capital=False) for number in range(rounds)]
            for control in CONTROLS
        },
        kinds={kind.key: [typeset(kind.title), typeset(kind.meaning, capital=False), kind.is_leak] for kind in KINDS},
    )


def typeset(text: str, *, capital: bool = True) -> str:
    """The text with typographic apostrophes and, by default, a capital first letter.

    >>> typeset("another row's reflection")
    'Another row’s reflection'
    """
    text = text.replace("'", "’")
    return text[:1].upper() + text[1:] if capital else text
