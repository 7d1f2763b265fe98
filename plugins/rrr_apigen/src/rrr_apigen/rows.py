"""The rows of a split, as the user's `--data KEY=VALUE` options ask for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rrr_apigen import generated, hub
from rrr_apigen.row_shape import SHAPE
from rrr_apigen.screening import POLICIES, screened
from rrr_apigen.splits import TEST_SHARE, split_of
from rrr_core.row_files import FILE, FOLDER, GENERATED, HUB, KINDS, DataOptions, PlacedRow

OPTIONS: dict[str, tuple[str, ...]] = {
    "source": KINDS,
    "most_tools": (GENERATED,),
    "most_calls": (GENERATED,),
    "seed": (GENERATED,),
    "dataset": (HUB,),
    "revision": (HUB,),
    "test_share": (HUB, FILE),
    "contradictions": (HUB, FILE, FOLDER),
}
"""Every option and the kinds of source it applies to."""

MOST_TOOLS_BOUNDS = (1, 8)
MOST_CALLS_BOUNDS = (1, 3)
TEST_SHARE_BOUNDS = (1, 99)


def load(split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows `{"query", "tools", "answers"}` of one split, lazily, in a fixed order; rows from outside may have an `id`.

    Raises DataError for an unknown split, option or value, and for data that cannot be read.
    """
    chosen = DataOptions("apigen", options, OPTIONS)
    chosen.check(split, {GENERATED: tuple(generated.SPLIT_SHARES)})
    if chosen.kind == GENERATED:
        return generated.generate(split, recipe(chosen))
    policy = chosen.choice("contradictions", POLICIES)
    share = chosen.whole("test_share", TEST_SHARE, TEST_SHARE_BOUNDS)
    rows = placed_rows(chosen, split)
    if chosen.kind != FOLDER:
        rows = (placed for placed in rows if split_of(placed[1]["query"], share) == split)
    shown = options.get("dataset", hub.DATASET) if chosen.kind == HUB else chosen.source
    return screened(rows, policy, shown)


def placed_rows(chosen: DataOptions, split: str = "") -> Iterator[PlacedRow]:
    """All rows of the hub, of a file, or of a folder's split, each with its place, including contradicting ones."""
    if chosen.kind == HUB:
        return hub.load(chosen.given.get("dataset", hub.DATASET), chosen.given.get("revision"))
    return chosen.rows_of_path(SHAPE, split)


def recipe(chosen: DataOptions) -> generated.Recipe:
    """The recipe for generated rows. Raises DataError for a value that yields no rows."""
    default = generated.Recipe()
    return generated.Recipe(
        chosen.whole("most_tools", default.most_tools, MOST_TOOLS_BOUNDS),
        chosen.whole("most_calls", default.most_calls, MOST_CALLS_BOUNDS),
        chosen.whole("seed", default.seed),
    )
