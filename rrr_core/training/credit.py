"""Credit: which of the tokens a model wrote after its failure the reward is given to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Completion:
    """What TRL calls a completion: the ids after the prompt, and which of them are trained.

    `ids` and `mask` have one length; `mask` is 1 on trained tokens and 0 on those that are only read.
    """

    ids: list[int]
    mask: list[int]


def completion_of(credit: str, reflection: Sequence[int], between: Sequence[int], retry: Sequence[int]) -> Completion:
    """The completion for one credit, from the sampled reflection ids, the retry prompt's ids and the sampled retry ids.

    >>> completion_of("reflection", [5, 6, 2], [7, 8], [9, 2])
    Completion(ids=[5, 6, 2], mask=[1, 1, 1])
    >>> completion_of("retry", [5, 6, 2], [7, 8], [9, 2])
    Completion(ids=[5, 6, 2, 7, 8, 9, 2], mask=[0, 0, 0, 0, 0, 1, 1])
    >>> completion_of("all", [5, 6, 2], [7, 8], [9, 2])
    Completion(ids=[5, 6, 2, 7, 8, 9, 2], mask=[1, 1, 1, 0, 0, 1, 1])
    """
    if credit in ("reflection", "placebo"):
        return Completion([*reflection], [1] * len(reflection))
    reflection_trained = int(credit == "all")
    return Completion(
        [*reflection, *between, *retry],
        [reflection_trained] * len(reflection) + [0] * len(between) + [1] * len(retry),
    )
