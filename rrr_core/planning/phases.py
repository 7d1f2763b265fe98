"""How a model writes and passes before, during and after training: found by a probe or in a past run, or assumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rrr_core.planning.lengths import Lengths, Limits, Texts
from rrr_core.planning.rates import Behaviour, Rates
from rrr_core.planning.rendered import Rendered

ASSUMED_SHARE = 0.4
"""Of the token limit, how long texts are assumed to be if nobody knows."""
ASSUMED_RATES = Rates(0.5, 1.5)
"""First tries, assumed: half pass, and rows differ much."""


@dataclass(frozen=True, slots=True)
class Phase:
    """The texts and pass rates of one phase of a run."""

    texts: Texts
    behaviour: Behaviour


@dataclass(frozen=True, slots=True)
class Phases:
    """All phases of a run."""

    before: Phase
    training: Phase
    after: Phase
    is_assumed: bool = False
    """Whether the lengths are assumptions, or those of texts that a probe cut off."""

    @classmethod
    def alike(cls, phase: Phase, *, is_assumed: bool = False) -> Phases:
        """Where nothing is known of what training changes."""
        return cls(phase, phase, phase, is_assumed)

    def changed(self, change: Callable[[Phase], Phase]) -> Phases:
        """Each phase changed alike."""
        return Phases(change(self.before), change(self.training), change(self.after), self.is_assumed)


def assumed(prompts: Rendered, limits: Limits) -> Phases:
    """What is taken for granted without a probe and without a past run."""
    lengths = [Lengths((ASSUMED_SHARE * each,)) for each in (limits.attempt, limits.reflection, limits.retry)]
    texts = Texts(
        prompt=prompts.prompt,
        attempt=lengths[0],
        reflect=prompts.reflect,
        reflection=lengths[1],
        again=prompts.again,
        retry=lengths[2],
        shared=prompts.shared,
        extends=prompts.extends,
    )
    behaviour = Behaviour(ASSUMED_RATES, ASSUMED_RATES.mean, replace(ASSUMED_RATES, mean=0.3))
    return Phases.alike(Phase(texts, behaviour), is_assumed=True)
