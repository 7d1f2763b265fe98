"""The split of a source without splits: by the hash of the query."""

from __future__ import annotations

from rrr_core.row_files import bucket_of

TEST_SHARE = 20
"""Percentage of the published rows that go to `test`: 12,000 of 60,000, as many as in the paper (arXiv 2505.24726)."""


def split_of(query: str, test_share: int = TEST_SHARE) -> str:
    """`train` or `test`, whatever the row's position and the case and spaces of its query.

    Equal queries are never in both splits, the published data set and a copy of it in a file are split the same way,
    and a larger `test_share` only adds test rows.

    >>> split_of("Book a table for two.") == split_of("book a  table for two. ")
    True
    """
    return "test" if bucket_of(" ".join(query.split()).casefold()) < test_share else "train"
