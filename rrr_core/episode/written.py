"""Segments of what an engine gave, and how long they are."""

from __future__ import annotations

from collections.abc import Iterable

from rrr_core.episode.generation import Generation
from rrr_core.episode.segments import Role, Segment
from rrr_core.verdicts import Verdict


def written(role: Role, made: Generation, verdict: Verdict | None = None) -> Segment:
    """A segment of what an engine wrote: answer, thought, calls and length, without the ids."""
    return Segment(
        role,
        text=made.text,
        thought=made.thought,
        calls=made.calls,
        length=made.length,
        is_cut_off=made.is_cut_off,
        verdict=verdict,
    )


def total_length(texts: Iterable[Segment | Generation]) -> int | None:
    """The tokens of texts together; None if those of one are unknown."""
    lengths = [each.length for each in texts]
    known = [each for each in lengths if each is not None]
    return sum(known) if len(known) == len(lengths) else None
