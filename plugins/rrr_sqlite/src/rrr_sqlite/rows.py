"""The rows of a split, as the user's `--data KEY=VALUE` options ask for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rrr_core import DataOption
from rrr_core.errors import DataError
from rrr_core.row_files import FILE, FOLDER, GENERATED, DataOptions, bucket_of
from rrr_sqlite import generated
from rrr_sqlite.row_check import SHAPE

DEFAULT = generated.Recipe()
TEST_SHARE = 20
"""Percentage of the table names of a file whose rows are test rows."""
OPTIONS = (
    DataOption(
        "source", "generated, or a path to a file or folder", default=GENERATED, sources=(GENERATED, FILE, FOLDER)
    ),
    DataOption(
        "shapes",
        f"what questions ask for, some of {', '.join(generated.SHAPES)} joined by +",
        default="+".join(DEFAULT.shapes),
        sources=(GENERATED,),
    ),
    DataOption("seed", "seed of the generator", "whole number", str(DEFAULT.seed), sources=(GENERATED,)),
)
"""Every option and the kinds of source it applies to."""


def load(split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows `{"question", "tables", "gold"}`, ordered ones with `order_keys`, of one split, lazily, in a fixed order.

    Raises DataError for an unknown split, option or value, and for data that cannot be read.
    """
    chosen = DataOptions("sqlite", options, OPTIONS)
    chosen.check(split, {GENERATED: tuple(generated.SPLIT_SHARES)})
    if chosen.kind == GENERATED:
        return generated.generate(split, recipe(chosen))
    placed = chosen.rows_of_path(SHAPE, split)
    return (row for _, row in placed if chosen.kind == FOLDER or split_of(row) == split)


def split_of(row: Mapping[str, Any]) -> str:
    """`train` or `test` for a row of a file without splits: by its tables' names, so no database is in both."""
    names = " ".join(sorted(table["name"].lower() for table in row["tables"]))
    return "test" if bucket_of(names) < TEST_SHARE else "train"


def recipe(chosen: DataOptions) -> generated.Recipe:
    """The recipe for generated rows. Raises DataError for a shape that there is not."""
    shapes = tuple(chosen.text("shapes").split("+"))
    if set(shapes) - set(generated.SHAPES) or len(set(shapes)) < len(shapes):
        raise DataError(
            f"sqlite's data option shapes={chosen.text('shapes')!r} must be some of {', '.join(generated.SHAPES)}, "
            "each once, joined by +, such as count+list."
        )
    return generated.Recipe(shapes, chosen.whole("seed"))
