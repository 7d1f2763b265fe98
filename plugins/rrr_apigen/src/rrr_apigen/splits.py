"""The split of rows that come as one lot: by the hash of their query."""

from __future__ import annotations

from rrr_core.row_files import bucket_of

TEST_SHARE = 20
"""Per cent of the published rows that are for `test`: 12,000 of 60,000, as many as the paper's (arXiv 2505.24726)."""


def split_of(query: str, test_share: int = TEST_SHARE) -> str:
    """`train` or `test`, whatever the place of the row and the case and spaces of its query.

    So equal queries never fall on both sides, the published data set and a copy of it in a file are split alike, and a
    larger `test_share` only adds test rows.

    >>> split_of("Book a table for two.") == split_of("book a  table for two. ")
    True
    """
    return "test" if bucket_of(" ".join(query.split()).casefold()) < test_share else "train"
