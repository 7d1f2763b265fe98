"""The published Countdown rows, from the Hugging Face hub, with TinyZero's split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rrr_core.errors import DataError
from rrr_core.row_files import require_columns, row_at
from rrr_countdown.files import SHAPE
from rrr_countdown.row_check import WANTED

DATASET = "Jiayi-Pan/Countdown-Tasks-3to4"
TRAIN_ROWS = 327_680
TEST_ROWS = 1_024
"""TinyZero (github.com/Jiayi-Pan/TinyZero) trains on the first rows and tests on the next ones."""


def load(
    split: str,
    dataset: str = DATASET,
    revision: str | None = None,
    *,
    train_rows: int = TRAIN_ROWS,
    test_rows: int = TEST_ROWS,
) -> Iterator[dict[str, Any]]:
    """The rows of `train` or `test`. `dataset` is a hub name or a local folder of files that `datasets` can read.

    Raises DataError if the `datasets` library is missing, or if the data cannot be reached or has another shape.
    """
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise DataError(
            f"countdown's source=hub needs the package {error.name!r}: pip install 'rrr-countdown[hub]', "
            "or use source=generated."
        ) from error
    try:
        table = datasets.load_dataset(dataset, split="train", revision=revision)
    except Exception as error:  # the hub's client raises errors of several HTTP libraries, which have no common base
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(
            f"countdown cannot load the data set {dataset!r}{f' at revision {revision!r}' if revision else ''} "
            f"({type(error).__name__}: {reason}). Check the name and the network, or use source=generated or "
            "a downloaded file: source=PATH."
        ) from error
    require_columns(table.column_names, WANTED, dataset)
    if len(table) < train_rows + test_rows:
        raise DataError(
            f"{dataset}: {len(table):,} rows, too few for TinyZero's split of {train_rows:,} training and "
            f"{test_rows:,} test rows. Give the file as source=PATH, which splits by content."
        )
    first, count = (0, train_rows) if split == "train" else (train_rows, test_rows)
    return rows_of(table, dataset, first, count)


def rows_of(table: Any, dataset: str, first: int, count: int) -> Iterator[dict[str, Any]]:
    """`count` rows of a table from the row `first` on. Raises DataError at a malformed one."""
    for index in range(first, first + count):
        _, row = row_at(f"{dataset}, row {index + 1}", table[index], SHAPE, SHAPE.from_table)
        yield row
