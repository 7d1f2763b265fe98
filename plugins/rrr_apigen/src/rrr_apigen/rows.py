"""The rows of a split, as the user's `--data KEY=VALUE` options ask for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rrr_apigen import generated, hub
from rrr_apigen.row_shape import SHAPE
from rrr_apigen.screening import POLICIES, screened
from rrr_apigen.splits import TEST_SHARE, split_of
from rrr_core import DataOption
from rrr_core.row_files import FILE, FOLDER, GENERATED, HUB, KINDS, DataOptions, PlacedRow

DEFAULT = generated.Recipe()
OPTIONS = (
    DataOption("source", "generated, hub, or a path to a file or folder", default=GENERATED, sources=KINDS),
    DataOption(
        "most_tools", "most functions on offer", "whole number", str(DEFAULT.most_tools), (1, 8), sources=(GENERATED,)
    ),
    DataOption(
        "most_calls", "most calls in an answer", "whole number", str(DEFAULT.most_calls), (1, 3), sources=(GENERATED,)
    ),
    DataOption("seed", "seed of the generator", "whole number", str(DEFAULT.seed), sources=(GENERATED,)),
    DataOption("dataset", "the data set on the hub, or a local folder", default=hub.DATASET, sources=(HUB,)),
    DataOption("revision", "the data set's commit or tag", sources=(HUB,)),
    DataOption(
        "test_share",
        "percentage of the queries that are test rows",
        "whole number",
        str(TEST_SHARE),
        (1, 99),
        sources=(HUB, FILE),
    ),
    DataOption(
        "contradictions",
        "what is done with rows that contradict themselves",
        default=POLICIES[0],
        choices=POLICIES,
        sources=(HUB, FILE, FOLDER),
    ),
)
"""Every option and the kinds of source it applies to."""


def load(split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows `{"query", "tools", "answers"}` of one split, lazily, in a fixed order; rows from outside may have an `id`.

    Raises DataError for an unknown split, option or value, and for data that cannot be read.
    """
    chosen = DataOptions("apigen", options, OPTIONS)
    chosen.check(split, {GENERATED: tuple(generated.SPLIT_SHARES)})
    if chosen.kind == GENERATED:
        return generated.generate(split, recipe(chosen))
    policy = chosen.choice("contradictions")
    share = chosen.whole("test_share")
    rows = placed_rows(chosen, split)
    if chosen.kind != FOLDER:
        rows = (placed for placed in rows if split_of(placed[1]["query"], share) == split)
    shown = chosen.text("dataset") if chosen.kind == HUB else chosen.source
    return screened(rows, policy, shown)


def placed_rows(chosen: DataOptions, split: str = "") -> Iterator[PlacedRow]:
    """All rows of the hub, of a file, or of a folder's split, each with its place, including contradicting ones."""
    if chosen.kind == HUB:
        return hub.load(chosen.text("dataset"), chosen.given.get("revision"))
    return chosen.rows_of_path(SHAPE, split)


def recipe(chosen: DataOptions) -> generated.Recipe:
    """The recipe for generated rows. Raises DataError for a value that yields no rows."""
    return generated.Recipe(chosen.whole("most_tools"), chosen.whole("most_calls"), chosen.whole("seed"))
