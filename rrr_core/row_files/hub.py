"""Rows of a data set on the Hugging Face hub, through the library `datasets`, which is imported on demand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rrr_core.errors import DataError
from rrr_core.row_files.reading import PlacedRow, RowShape, require_columns, require_own_keys, row_at


def load_table(
    task: str,
    dataset: str,
    revision: str | None,
    shape: RowShape,
    *,
    distribution: str,
    split: str = "train",
    configuration: str | None = None,
    instead: str = "",
) -> Any:
    """One split of a data set as a table of `datasets`. `dataset` is a hub name or a local folder of data files.

    `distribution` is the plugin's; its extra `hub` installs the library. `configuration` picks one of a data set's
    several. `instead` is what errors offer as another way: `use source=generated`. Raises DataError if the library is
    missing, or the data set cannot be reached, is gated, or lacks the columns of `shape`.
    """
    otherwise = f", or {instead}" if instead else ""
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise DataError(
            f"{task} needs the package {error.name!r} for rows from the hub: "
            f"pip install '{distribution}[hub]'{otherwise}."
        ) from error
    try:
        table = datasets.load_dataset(dataset, configuration, split=split, revision=revision)
    except Exception as error:  # the hub's client raises errors of several HTTP libraries, which share no base class
        which = f"{dataset!r}{f' at revision {revision!r}' if revision else ''}"
        if is_denied(error):
            raise DataError(
                f"{task} may not load the data set {which}: it is gated. Accept its licence at "
                f"https://huggingface.co/datasets/{dataset}, then log in with `hf auth login` or set HF_TOKEN."
            ) from error
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(
            f"{task} cannot load the data set {which} ({type(error).__name__}: {reason}). "
            f"Check the name and the network{otherwise}."
        ) from error
    require_columns(table.column_names, shape.columns, dataset)
    if shape.own_keys:
        require_own_keys(table.features, shape, dataset)
    return table


def rows_of_table(
    table: Any, dataset: str, shape: RowShape, first: int = 0, count: int | None = None
) -> Iterator[PlacedRow]:
    """At most `count` rows of a table from the row `first` on; by default all. Raises DataError at a malformed one."""
    end = len(table) if count is None else min(len(table), first + count)
    for index in range(first, end):
        yield row_at(f"{dataset}, row {index + 1}", table[index], shape, shape.from_table)


def is_denied(error: BaseException) -> bool:
    """Whether the hub refused a user who is not logged in or has not accepted the licence.

    This reads the messages of the exception and its causes: the client's classes are not importable without `datasets`,
    and the client wraps one exception in another.
    """
    cause: BaseException | None = error
    while cause is not None:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status in (401, 403) or "GatedRepo" in type(cause).__name__ or re.search(r"\bgated\b", str(cause)):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
