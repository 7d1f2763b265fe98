"""Aligned columns of plain text, which a pipe and a log read as well as a terminal does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rrr_core.text import one_line

WIDEST = 200
"""Most characters of one cell."""


def aligned(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> list[str]:
    """One line of headings and one for each row; the last `numbers` columns stand to the right.

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
