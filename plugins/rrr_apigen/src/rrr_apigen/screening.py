"""Screening: rows that contradict themselves are counted, told to the user, and kept out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rrr_apigen.contradictions import EMPTY_QUERY, REASONS, contradiction
from rrr_core.row_files import PlacedRow

POLICIES = ("drop", "list", "keep")
"""Leave them out; leave them out and name each; keep them, those that no model can be asked aside."""

LOGGER = logging.getLogger("rrr_apigen")


def screened(rows: Iterator[PlacedRow], policy: str, source: str) -> Iterator[dict[str, Any]]:
    """The rows of a source without their places, and without those that contradict themselves.

    How many these were is logged as a warning, which reaches a terminal, once no more rows are wanted.
    """
    read, counts = 0, Counter[str]()
    try:
        for where, row in rows:
            read += 1
            found = contradiction(row)
            if found is None:
                yield row
                continue
            counts[found.reason] += 1
            if policy == "list":
                LOGGER.warning("apigen: %s: %s", where, found)
            if policy == "keep" and found.reason != EMPTY_QUERY:
                yield row
    finally:
        if counts:
            LOGGER.warning("apigen: %s", summary(read, counts, policy, source))


def summary(read: int, counts: Counter[str], policy: str, source: str) -> str:
    """How many rows contradict themselves and what became of them, in one line."""
    reasons = ", ".join(f"{counts[reason]:,} {reason}" for reason in REASONS if counts[reason])
    total = counts.total()
    fate = "kept" if policy == "keep" else "left out"
    hint = "" if policy == "list" else "; --data contradictions=list names them"
    return f"{total:,} of {read:,} rows read from {source} contradict themselves and are {fate} ({reasons}){hint}."
