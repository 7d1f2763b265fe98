"""What the page calls figures, gains and controls: the words of the evaluation, typeset."""

from __future__ import annotations

from dataclasses import dataclass

from rrr_core.evaluation.controls import CONTROLS
from rrr_core.evaluation.figures import FIGURES


@dataclass(frozen=True, slots=True)
class Words:
    """Names in `figures.json` and in episodes → what the page calls them, in the page's order."""

    figures: dict[str, str]
    gains: dict[str, str]
    controls: dict[str, str]
    """A control's key → what its answer is."""


def words() -> Words:
    """The page's words."""
    return Words(
        figures={figure.key: typeset(figure.heading) for figure in FIGURES},
        gains={control.gain: f"over {typeset(control.short, capital=False)}" for control in CONTROLS},
        controls={control.key: typeset(control.answer, capital=False) for control in CONTROLS},
    )


def typeset(text: str, *, capital: bool = True) -> str:
    """The text with the page's apostrophes, and by default a capital.

    >>> typeset("another row's reflection")
    'Another row’s reflection'
    """
    text = text.replace("'", "’")
    return text[:1].upper() + text[1:] if capital else text
