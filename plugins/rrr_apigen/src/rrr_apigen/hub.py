"""The published APIGen rows, from the Hugging Face hub, where their licence must be accepted first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rrr_apigen.row_shape import SHAPE
from rrr_core.errors import DataError
from rrr_core.row_files import PlacedRow, require_columns, row_at

DATASET = "Salesforce/xlam-function-calling-60k"


def load(dataset: str = DATASET, revision: str | None = None) -> Iterator[PlacedRow]:
    """All rows of the data set's one split. `dataset` is a hub name or a local folder that `datasets` can read.

    Raises DataError if the `datasets` library is missing, or if the data cannot be reached or has another shape.
    """
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise DataError(
            f"apigen's source=hub needs the package {error.name!r}: pip install 'rrr-apigen[hub]', "
            "or use source=generated."
        ) from error
    try:
        table = datasets.load_dataset(dataset, split="train", revision=revision)
    except Exception as error:  # the hub's client raises errors of several HTTP libraries, which have no common base
        which = f"{dataset!r}{f' at revision {revision!r}' if revision else ''}"
        if is_denied(error):
            raise DataError(
                f"apigen may not load the data set {which}: it is gated. Accept its licence at "
                f"https://huggingface.co/datasets/{dataset}, then log in with `hf auth login` or set HF_TOKEN."
            ) from error
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(
            f"apigen cannot load the data set {which} ({type(error).__name__}: {reason}). Check the name and the "
            "network, or use source=generated or a downloaded file: source=PATH."
        ) from error
    require_columns(table.column_names, SHAPE.columns, dataset)
    return rows_of(table, dataset)


def rows_of(table: Any, dataset: str) -> Iterator[PlacedRow]:
    """The rows of a table. Raises DataError at a malformed one."""
    for index in range(len(table)):
        yield row_at(f"{dataset}, row {index + 1}", table[index], SHAPE, SHAPE.from_table)


def is_denied(error: BaseException) -> bool:
    """Whether the hub refused a user who is not known or has not accepted the licence.

    Told by what an exception and its causes say, for the client's classes are not there without `datasets`, and it
    wraps one in another.
    """
    cause: BaseException | None = error
    while cause is not None:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status in (401, 403) or "GatedRepo" in type(cause).__name__ or re.search(r"\bgated\b", str(cause)):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
