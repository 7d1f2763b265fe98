"""Aligned columns of plain text, readable in a pipe or a log as well as on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rrr_core.text import one_line

WIDEST = 200
"""Longest cell, in characters."""


def aligned(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> list[str]:
    """One line of headings and one per row; the last `numbers` columns are right-aligned.

    >>> aligned(("stage", "judged"), [("mine", "9"), ("train", "12")], numbers=1)
    ['stage  judged', 'mine        9', 'train      12']
    """
    cells = [list(headings), *([one_line(cell, WIDEST) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    left = len(headings) - numbers

    def padded(row: Sequence[str]) -> Iterable[str]:
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            yield cell.ljust(width) if column < left else cell.rjust(width)

    return ["  ".join(padded(row)).rstrip() for row in cells]
