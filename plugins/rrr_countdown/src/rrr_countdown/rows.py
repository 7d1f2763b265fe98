"""The rows of a split, as the user's `--data KEY=VALUE` options ask for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rrr_core.errors import DataError
from rrr_core.row_files import FOLDER, GENERATED, HUB, KINDS, DataOptions
from rrr_countdown import files, generated, hub

OPTIONS = {
    "source": KINDS,
    "numbers": (GENERATED,),
    "largest": (GENERATED,),
    "operators": (GENERATED,),
    "seed": (GENERATED,),
    "dataset": (HUB,),
    "revision": (HUB,),
}
"""Every option and the kinds of source it applies to."""

FEWEST_NUMBERS, MOST_NUMBERS = 2, 6
LARGEST_BOUNDS = (5, 999)


def load(split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows `{"nums": [...], "target": n}` of one split, lazily, in a fixed order.

    Raises DataError for an unknown split, option or value, and for data that cannot be read.
    """
    chosen = DataOptions("countdown", options, OPTIONS)
    chosen.check(split, {GENERATED: tuple(generated.SPLIT_SHARES)})
    if chosen.kind == GENERATED:
        return generated.generate(split, recipe(chosen))
    if chosen.kind == HUB:
        return hub.load(split, options.get("dataset", hub.DATASET), options.get("revision"))
    return files.of_split(chosen.rows_of_path(files.SHAPE, split), split, whole=chosen.kind == FOLDER)


def recipe(chosen: DataOptions) -> generated.Recipe:
    """The recipe for generated rows. Raises DataError for a value that yields no rows."""
    default = generated.Recipe()
    numbers = default.numbers
    if "numbers" in chosen.given:
        low, dash, high = chosen.given["numbers"].partition("-")
        numbers = (chosen.as_whole("numbers", low), chosen.as_whole("numbers", high if dash else low))
        if not FEWEST_NUMBERS <= numbers[0] <= numbers[1] <= MOST_NUMBERS:
            raise DataError(
                f"countdown's data option numbers={chosen.given['numbers']!r} must be N or LOW-HIGH "
                f"between {FEWEST_NUMBERS} and {MOST_NUMBERS}, such as 3 or 3-4."
            )
    operators = chosen.given.get("operators", default.operators)
    if not operators or set(operators) - set("+-*/") or len(set(operators)) < len(operators):
        raise DataError(
            f"countdown's data option operators={operators!r} must be some of + - * /, each once, such as +-."
        )
    largest = chosen.whole("largest", default.largest, LARGEST_BOUNDS)
    return generated.Recipe(numbers, largest, operators, chosen.whole("seed", default.seed))
