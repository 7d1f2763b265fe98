"""What fits: each sharding and micro-batch held against the memory there is, and the cheapest of those that fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rrr_core.planning.memory import SHARDINGS, Memory

USABLE = 0.92
"""Share of a device's memory that tensors can fill: the rest is fragments, and the driver's own."""

ALIKE = 1.02
"""Times within this factor are alike, and the setting that was asked for is kept."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to train."""

    sharding: str
    micro_batch: int
    processes: int
    peak: float
    """Bytes of a process at their peak, with texts as long as they are."""
    worst: float
    """The same if each text is as long as it may be."""
    seconds: float
    """Of training."""

    def fits(self, memory: float) -> str:
        """`yes`; `tight` if only with texts as long as they are; or `no`.

        >>> [Candidate("none", 8, 1, 10.0, 20.0, 1.0).fits(memory) for memory in (30, 15, 5)]
        ['yes', 'tight', 'no']
        """
        if self.worst <= memory * USABLE:
            return "yes"
        return "tight" if self.peak <= memory * USABLE else "no"


Price = Callable[[str, int, int], tuple[Memory, Memory, float]]
"""Sharding, micro-batch and processes → memory as texts are, memory if each is as long as it may be, and seconds."""


def candidates(price: Price, micro_batch: int, batch: int, processes: int) -> list[Candidate]:
    """Every sharding with the micro-batches that divide a process's share of a step: powers of two, the given one.

    One process has nothing to shard.
    """
    found = []
    for sharding in SHARDINGS if processes > 1 else ("none",):
        for micro in micro_batches(micro_batch, batch, processes):
            usual, worst, seconds = price(sharding, micro, processes)
            found.append(Candidate(sharding, micro, processes, usual.peak, worst.peak, seconds))
    return found


def micro_batches(given: int, batch: int, processes: int) -> list[int]:
    """The micro-batches to try.

    >>> micro_batches(6, 48, 2)
    [1, 2, 4, 6, 8]
    """
    powers = [1 << place for place in range(11)]
    return sorted({each for each in (*powers, given) if batch % (each * processes) == 0 and each <= max(given, 64)})


def cheapest(found: Sequence[Candidate], memory: float, given: int) -> Candidate | None:
    """The quickest of those that fit, the given micro-batch among equals; of none, the quickest that is tight."""
    for wanted in ("yes", "tight"):
        fitting = [each for each in found if each.fits(memory) == wanted]
        if fitting:
            least = min(each.seconds for each in fitting)
            alike = [each for each in fitting if each.seconds <= least * ALIKE]
            return min(alike, key=lambda each: (each.micro_batch != given, SHARDINGS.index(each.sharding), each.worst))
    return None
