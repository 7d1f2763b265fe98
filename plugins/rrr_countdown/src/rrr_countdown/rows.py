"""The rows of a split, as the user's `--data KEY=VALUE` options ask for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rrr_core import DataOption
from rrr_core.errors import DataError
from rrr_core.row_files import FOLDER, GENERATED, HUB, KINDS, DataOptions
from rrr_countdown import files, generated, hub

FEWEST_NUMBERS, MOST_NUMBERS = 2, 6
LARGEST_BOUNDS = (5, 999)
MOST_ROWS = 10**9
DEFAULT = generated.Recipe()
OPTIONS = (
    DataOption("source", "generated, hub, or a path to a file or folder", default=GENERATED, sources=KINDS),
    DataOption(
        "numbers",
        "how many numbers a row has: N or LOW-HIGH",
        default="-".join(map(str, dict.fromkeys(DEFAULT.numbers))),
        sources=(GENERATED,),
    ),
    DataOption(
        "largest", "the largest number", "whole number", str(DEFAULT.largest), LARGEST_BOUNDS, sources=(GENERATED,)
    ),
    DataOption("operators", "the operators in use", default=DEFAULT.operators, sources=(GENERATED,)),
    DataOption("seed", "seed of the generator", "whole number", str(DEFAULT.seed), sources=(GENERATED,)),
    DataOption("dataset", "the data set on the hub, or a local folder", default=hub.DATASET, sources=(HUB,)),
    DataOption("revision", "the data set's commit or tag", sources=(HUB,)),
    DataOption(
        "train_rows",
        "training rows, from the first on; TinyZero's are the default",
        "whole number",
        str(hub.TRAIN_ROWS),
        (1, MOST_ROWS),
        sources=(HUB,),
    ),
    DataOption(
        "test_rows",
        f"test rows, the ones after those; {hub.PAPER_TEST_ROWS} as in the paper",
        "whole number",
        str(hub.TEST_ROWS),
        (1, MOST_ROWS),
        sources=(HUB,),
    ),
)
"""Every option and the kinds of source it applies to."""


def load(split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows `{"nums": [...], "target": n}` of one split, lazily, in a fixed order.

    Raises DataError for an unknown split, option or value, and for data that cannot be read.
    """
    chosen = DataOptions("countdown", options, OPTIONS)
    chosen.check(split, {GENERATED: tuple(generated.SPLIT_SHARES)})
    if chosen.kind == GENERATED:
        return generated.generate(split, recipe(chosen))
    if chosen.kind == HUB:
        return hub.load(
            split,
            chosen.text("dataset"),
            options.get("revision"),
            train_rows=chosen.whole("train_rows"),
            test_rows=chosen.whole("test_rows"),
        )
    return files.of_split(chosen.rows_of_path(files.SHAPE, split), split, whole=chosen.kind == FOLDER)


def recipe(chosen: DataOptions) -> generated.Recipe:
    """The recipe for generated rows. Raises DataError for a value that yields no rows."""
    numbers = DEFAULT.numbers
    if "numbers" in chosen.given:
        low, dash, high = chosen.given["numbers"].partition("-")
        numbers = (chosen.as_whole("numbers", low), chosen.as_whole("numbers", high if dash else low))
        if not FEWEST_NUMBERS <= numbers[0] <= numbers[1] <= MOST_NUMBERS:
            raise DataError(
                f"countdown's data option numbers={chosen.given['numbers']!r} must be N or LOW-HIGH "
                f"between {FEWEST_NUMBERS} and {MOST_NUMBERS}, such as 3 or 3-4."
            )
    operators = chosen.text("operators")
    if not operators or set(operators) - set("+-*/") or len(set(operators)) < len(operators):
        raise DataError(
            f"countdown's data option operators={operators!r} must be some of + - * /, each once, such as +-."
        )
    return generated.Recipe(numbers, chosen.whole("largest"), operators, chosen.whole("seed"))
