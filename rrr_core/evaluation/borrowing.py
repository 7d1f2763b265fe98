"""Which row borrows which reflection, for the control that retries with another row's reflection."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence


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


def lenders(reflections: Mapping[int, str], borrowers: Collection[int], seed: int) -> dict[int, int]:
    """Each borrower's row → the row whose reflection it borrows; a borrower whom none can lend to is left out.

    `reflections` are those of the rows that lend, by row. A lender borrows as `borrowed` says. After the first round
    a row may borrow that has no reflection itself: such rows take turns, those reflections first that are lent to none.

    >>> lenders({1: "a", 2: "b"}, [1, 2], seed=0), lenders({2: "b"}, [1, 2], seed=0)
    ({1: 2, 2: 1}, {1: 2})
    """
    rows = list(reflections)
    places = borrowed(list(reflections.values()), seed)
    found = {row: rows[place] for row, place in zip(rows, places or (), strict=places is not None) if row in borrowers}
    lent = set(found.values())
    turns = sorted(rows, key=lambda row: (row in lent, _scrambled(reflections[row], seed), row))
    others = [row for row in borrowers if row not in reflections]
    for turn, row in enumerate(others if turns else ()):
        found[row] = turns[turn % len(turns)]
    return found


def _scrambled(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()
