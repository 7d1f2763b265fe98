"""Episodes: the records that flow through every stage, and their JSON."""

from rrr_core.episode.decisions import Choice, Decision
from rrr_core.episode.failures import Failure, failure_of
from rrr_core.episode.generation import Generation
from rrr_core.episode.judged import was_judged
from rrr_core.episode.records import Episode, Round
from rrr_core.episode.segments import ANSWERS, READ, Messages, Role, Segment
from rrr_core.episode.written import total_length, written

__all__ = [
    "ANSWERS",
    "READ",
    "Choice",
    "Decision",
    "Episode",
    "Failure",
    "Generation",
    "Messages",
    "Role",
    "Round",
    "Segment",
    "failure_of",
    "total_length",
    "was_judged",
    "written",
]
