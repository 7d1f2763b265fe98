"""Who borrows whose reflection, for the control that retries with another row's reflection."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence


def borrowed(reflections: Sequence[str], seed: int) -> list[int] | None:
    """For each reflection's row the index of the row whose reflection it borrows; None where there is only one row.

    Every reflection is lent exactly once and no row keeps its own, so both arms of the comparison see the same
    reflections and differ only in whom they speak to. Rows whose reflections are word for word the same do not lend to
    each other, except where more than half of all are the same: then as few do as possible.

    >>> borrowed(["a", "b"], seed=0)
    [1, 0]
    """
    count = len(reflections)
    if count < 2:
        return None
    # Equal texts stand together, and shifting by the largest such block takes each of them out of its own block.
    # The blocks' order is scrambled: in alphabetical order a row would borrow from the row most like it.
    order = sorted(range(count), key=lambda index: (_scrambled(reflections[index], seed), reflections[index], index))
    largest = max(Counter(reflections).values())
    shift = largest if largest < count else 1
    lenders = [0] * count
    for place, index in enumerate(order):
        lenders[index] = order[(place + shift) % count]
    return lenders


def _scrambled(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()
