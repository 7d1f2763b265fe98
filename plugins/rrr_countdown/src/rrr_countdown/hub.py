"""The published Countdown rows, from the Hugging Face hub, with TinyZero's split or one of the user's sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rrr_core.errors import DataError
from rrr_core.row_files import load_table, rows_of_table
from rrr_countdown.files import SHAPE

DATASET = "Jiayi-Pan/Countdown-Tasks-3to4"
TRAIN_ROWS = 327_680
TEST_ROWS = 1_024
"""TinyZero (github.com/Jiayi-Pan/TinyZero) trains on the first rows and tests on the next ones."""

PAPER_TEST_ROWS = 15_000
"""The paper (arXiv 2505.24726) tests on as many rows, and does not say which."""


def load(
    split: str,
    dataset: str = DATASET,
    revision: str | None = None,
    *,
    train_rows: int = TRAIN_ROWS,
    test_rows: int = TEST_ROWS,
) -> Iterator[dict[str, Any]]:
    """The rows of `train`, the first `train_rows`, or of `test`, the next `test_rows`.

    `dataset` is a hub name or a local folder of files that `datasets` can read. Raises DataError if the `datasets`
    library is missing, or if the data cannot be reached, has other columns or too few rows.
    """
    instead = "use source=generated or a downloaded file: source=PATH"
    table = load_table("countdown", dataset, revision, SHAPE, distribution="rrr-countdown", instead=instead)
    if len(table) < train_rows + test_rows:
        left = len(table) - train_rows
        fewer = f"test_rows may be up to {left:,} then" if left > 0 else "Give fewer train_rows"
        raise DataError(
            f"{dataset}: {len(table):,} rows, too few for {train_rows:,} training rows (train_rows) and the next "
            f"{test_rows:,} as test rows (test_rows). {fewer}; or give the file as source=PATH, "
            "which splits by content."
        )
    first, count = (0, train_rows) if split == "train" else (train_rows, test_rows)
    return (row for _, row in rows_of_table(table, dataset, SHAPE, first, count))
