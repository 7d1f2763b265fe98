"""Screening: rows that contradict themselves are counted, reported to the user, and dropped."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rrr_apigen.contradictions import EMPTY_QUERY, REASONS, contradiction
from rrr_core.row_files import PlacedRow

POLICIES = ("drop", "list", "keep")
"""Drop them; drop them and list each; keep them, except those with an empty query, which no model can answer."""

LOGGER = logging.getLogger("rrr_apigen")


def screened(rows: Iterator[PlacedRow], policy: str, source: str) -> Iterator[dict[str, Any]]:
    """The rows of a source without their places, and without those that contradict themselves.

    Their number is logged as a warning, which reaches a terminal, once the reader is done.
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
    """How many rows contradict themselves and what was done with them, in one line."""
    reasons = ", ".join(f"{counts[reason]:,} {reason}" for reason in REASONS if counts[reason])
    total = counts.total()
    fate = "kept" if policy == "keep" else "left out"
    hint = "" if policy == "list" else "; --data contradictions=list names them"
    return f"{total:,} of {read:,} rows read from {source} contradict themselves and are {fate} ({reasons}){hint}."
