"""The published APIGen rows, from the Hugging Face hub, where the user must first accept their licence."""

from __future__ import annotations

from collections.abc import Iterator

from rrr_apigen.row_shape import SHAPE
from rrr_core.row_files import PlacedRow, load_table, rows_of_table

DATASET = "Salesforce/xlam-function-calling-60k"


def load(dataset: str = DATASET, revision: str | None = None) -> Iterator[PlacedRow]:
    """All rows of the data set's one split. `dataset` is a hub name or a local folder that `datasets` can read.

    Raises DataError if the `datasets` library is missing, or if the data cannot be reached or has other columns.
    """
    instead = "use source=generated or a downloaded file: source=PATH"
    table = load_table("apigen", dataset, revision, SHAPE, distribution="rrr-apigen", instead=instead)
    return rows_of_table(table, dataset, SHAPE)
