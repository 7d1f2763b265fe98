"""Which row borrows which reflection, for the control that retries with another row's reflection."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence


def borrowed(reflections: Sequence[str], seed: int) -> list[int] | None:
    """For each row, the index of the row whose reflection it borrows; None if there are fewer than two rows.

    Every reflection is lent exactly once and no row keeps its own: both arms of the comparison see the same
    reflections and differ only in their assignment to rows. Rows with identical reflections do not lend to each other,
    unless more than half of all reflections are identical: then as few as possible do.

    >>> borrowed(["a", "b"], seed=0)
    [1, 0]
    """
    count = len(reflections)
    if count < 2:
        return None
    # Sorting puts equal texts into blocks; shifting by the largest block moves every text out of its own block.
    # The order of the blocks is hashed: in alphabetical order a row would borrow from the row most like it.
    order = sorted(range(count), key=lambda index: (_scrambled(reflections[index], seed), reflections[index], index))
    largest = max(Counter(reflections).values())
    shift = largest if largest < count else 1
    lenders = [0] * count
    for place, index in enumerate(order):
        lenders[index] = order[(place + shift) % count]
    return lenders


def _scrambled(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()
