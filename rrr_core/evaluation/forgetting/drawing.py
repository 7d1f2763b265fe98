"""Which items of a benchmark are asked: a share of each of its parts, drawn by the seed."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from rrr_core.seeds import item_seed


def drawn(sizes: Mapping[str, int], most: int, seed: int) -> dict[str, list[int]]:
    """Part → the ascending numbers of its items; at most `most` in all, or all for 0.

    A part's items depend on how many of it are drawn, and on no other part. A part of which none are drawn is left out.

    >>> {name: len(numbers) for name, numbers in drawn({"law": 30, "physics": 10}, 8, seed=0).items()}
    {'law': 6, 'physics': 2}
    """
    counts = apportioned(sizes, most) if most else dict(sizes)
    return {
        name: sorted(Random(item_seed(seed, name)).sample(range(sizes[name]), count))
        for name, count in counts.items()
        if count
    }


def apportioned(sizes: Mapping[str, int], most: int) -> dict[str, int]:
    """`most` items over the parts by their sizes: each gets its share rounded down, the largest remainders one more.

    >>> apportioned({"a": 5, "b": 3, "c": 2}, 4), apportioned({"a": 5}, 9)
    ({'a': 2, 'b': 1, 'c': 1}, {'a': 5})
    """
    total = sum(sizes.values())
    if most >= total:
        return dict(sizes)
    counts = {name: most * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(most * sizes[name] % total), name))
    for name in by_remainder[: most - sum(counts.values())]:
        counts[name] += 1
    return counts
