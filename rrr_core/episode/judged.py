"""Which answers of an episode a verifier has judged."""

from __future__ import annotations

from rrr_core.episode.records import Episode
from rrr_core.verdicts import Verdict, is_without_verifier


def was_judged(episode: Episode, answer: str, verdict: Verdict) -> bool:
    """Whether a verifier gave this verdict on one of the episode's answers: it is not asked where there is none.

    No course comes to an empty answer, so one that is empty ended before it.
    """
    return bool(answer) if episode.acts else not is_without_verifier(verdict, answer)
