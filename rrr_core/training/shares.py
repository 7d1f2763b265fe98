"""Each task's share of the groups of a training on several tasks, and the order in which the groups are dealt out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from rrr_core.errors import RrrError, nearest

Shares = Mapping[str | None, Fraction]
"""Task → its share; with one task, None → 1."""


def read_weights(text: str) -> dict[str, Fraction]:
    """Task → weight, of a text such as `countdown=2,apigen=1`. Raises RrrError.

    >>> read_weights("countdown=2,apigen=0.5")
    {'countdown': Fraction(2, 1), 'apigen': Fraction(1, 2)}
    """
    weights: dict[str, Fraction] = {}
    for pair in text.split(",") if text else ():
        name, equals, number = (part.strip() for part in pair.partition("="))
        try:
            weight = Fraction(number) if equals and name else Fraction(0)
        except (ValueError, ZeroDivisionError):
            weight = Fraction(0)
        if weight <= 0:
            raise RrrError(f"--weights {text}: expected TASK=NUMBER,TASK=NUMBER, each number above 0.")
        if name in weights:
            raise RrrError(f"--weights {text}: {name!r} is given twice.")
        weights[name] = weight
    return weights


def shares_of(text: str, tasks: Iterable[str | None]) -> Shares:
    """The share of each task by the weights in a text; those it leaves out weigh 1. Raises RrrError.

    >>> {task: str(share) for task, share in shares_of("a=2", ["b", "a"]).items()}
    {'a': '2/3', 'b': '1/3'}
    """
    names = sorted(task for task in tasks if task is not None)
    weights = read_weights(text)
    if weights and not names:
        raise RrrError("--weights acts only where several tasks are trained together: leave it out.")
    for name in weights:
        if name not in names:
            raise RrrError(f"--weights: no task {name!r} is trained here.{nearest(name, names)}")
    all_weights = [weights.get(name, Fraction(1)) for name in names]
    if not names:
        return {None: Fraction(1)}
    return {name: weight / sum(all_weights) for name, weight in zip(names, all_weights, strict=True)}


@lru_cache(maxsize=4)
def dealt(shares: Sequence[Fraction], groups: int) -> list[tuple[int, int]]:
    """The first `groups` groups of a training: whose each is, and how many of its own came before.

    Each group goes to the task that is furthest behind its share, so batches differ by as little as whole groups allow
    and the shares even out over them. Cached: do not modify it.

    >>> dealt((Fraction(2, 3), Fraction(1, 3)), 6)
    [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1), (0, 3)]
    """
    given = [0] * len(shares)
    order = []
    for number in range(1, groups + 1):
        behind = [share * number - have for share, have in zip(shares, given, strict=True)]
        task = behind.index(max(behind))
        order.append((task, given[task]))
        given[task] += 1
    return order
