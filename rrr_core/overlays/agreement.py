"""The overlay `agreement`: an answer passes if at least `need` of its judges pass it.

All judges of the stack vote, and so does the verifier. A withheld vote counts for neither side: if it could tip the
balance, the whole verdict is withheld.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rrr_core.hookspecs import hookimpl
from rrr_core.overlays import option, read_options
from rrr_core.verdicts import Outcome, Verdict, failed, passed, withheld
from rrr_core.verification.panel import VERIFIER


@dataclass(frozen=True)
class AgreementOptions:
    """How votes become a verdict."""

    need: int = option(2, "Votes that an answer needs to pass; 1 is any.", minimum=1)
    verifier: bool = option(True, "Whether the task's own verifier has a vote.")


@hookimpl
def rrr_configure(options: Mapping[str, str]) -> list[Callable[..., Any]]:
    """The overlay's one hook, bound to the options."""
    chosen = read_options("agreement", AgreementOptions, options)

    @hookimpl
    def rrr_combine(votes: Mapping[str, Verdict]) -> Verdict:
        return combined(votes, chosen)

    return [rrr_combine]


def combined(votes: Mapping[str, Verdict], options: AgreementOptions) -> Verdict:
    """The verdict on the votes, which are keyed by the judges' names.

    A failed verdict takes its class from the last vote against, so from the verifier if it failed the answer. The
    verdict is withheld if fewer voted than have to agree, so a stack with too few judges stops the run.
    """
    counted = {name: vote for name, vote in votes.items() if options.verifier or name != VERIFIER}
    if len(counted) < options.need:
        return withheld(f"the overlay 'agreement' needs {options.need} votes and got {len(counted)}: stack more judges")
    reported = ", ".join(
        f"{name} {vote.outcome}" + (f" ({vote.detail})" if vote.is_abstained else "") for name, vote in counted.items()
    )
    detail = f"{options.need} of {len(counted)} needed: {reported}"
    match decided([vote.outcome for vote in counted.values()], options.need):
        case "passed":
            return passed()
        case "failed":
            return failed([vote.category for vote in counted.values() if vote.is_failed][-1], detail)
        case _:
            return withheld(detail)


def decided(votes: list[Outcome], need: int) -> Outcome:
    """The outcome of k-of-n votes: an abstention if the withheld ones could tip it.

    >>> decided(["passed", "failed", "passed"], need=2), decided(["passed", "failed", "abstained"], need=2)
    ('passed', 'abstained')
    """
    passes, open_ = votes.count("passed"), votes.count("abstained")
    if passes >= need:
        return "passed"
    return "abstained" if passes + open_ >= need else "failed"
