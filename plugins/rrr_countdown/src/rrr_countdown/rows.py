"""The rows of a split, as the user's `--data KEY=VALUE` options ask for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, nearest
from rrr_core.row_files import WANTED_SUFFIXES
from rrr_countdown import files, generated, hub

GENERATED_OPTIONS = ("numbers", "largest", "operators", "seed")
HUB_OPTIONS = ("dataset", "revision")
OPTIONS = ("source", *GENERATED_OPTIONS, *HUB_OPTIONS)

FEWEST_NUMBERS, MOST_NUMBERS = 2, 6
LARGEST_BOUNDS = (5, 999)


def load(split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows `{"nums": [...], "target": n}` of one split, lazily, in a fixed order.

    Raises DataError for an unknown split, option or value, and for data that cannot be read.
    """
    for name in options:
        if name not in OPTIONS:
            raise DataError(
                f"countdown has no data option {name!r}.{nearest(name, OPTIONS)} It has {', '.join(OPTIONS)}."
            )
    source = options.get("source", "generated")
    splits = tuple(generated.SPLIT_SHARES) if source == "generated" else ("train", "test")
    if split not in splits:
        raise DataError(
            f"countdown's source={source} has no split {split!r}.{nearest(split, splits)} It has {', '.join(splits)}."
        )
    allowed = {"generated": GENERATED_OPTIONS, "hub": HUB_OPTIONS}.get(source, ())
    for name in options:
        if name != "source" and name not in allowed:
            owner = "generated" if name in GENERATED_OPTIONS else "hub"
            raise DataError(f"countdown's data option {name!r} belongs to source={owner}, not to source={source}.")
    if source == "generated":
        return generated.generate(split, recipe(options))
    if source == "hub":
        return hub.load(split, options.get("dataset", hub.DATASET), options.get("revision"))
    try:
        if not Path(source).suffix and not Path(source).exists():
            raise DataError(
                f"countdown's data option source={source!r} is no file or folder that exists."
                f"{nearest(source, ('generated', 'hub'))} Give 'generated', 'hub', or a path to a "
                f"{WANTED_SUFFIXES} file."
            )
        return files.load(Path(source), split)
    except (OSError, ValueError) as error:  # a name that no file can have, or a folder that may not be listed
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"countdown's data option source={source[:80]!r} cannot be read: {reason}.") from error


def recipe(options: Mapping[str, str]) -> generated.Recipe:
    """What generated rows are to look like. Raises DataError for a value that makes no rows."""
    default = generated.Recipe()
    numbers = default.numbers
    if "numbers" in options:
        low, dash, high = options["numbers"].partition("-")
        numbers = (whole("numbers", low), whole("numbers", high if dash else low))
        if not FEWEST_NUMBERS <= numbers[0] <= numbers[1] <= MOST_NUMBERS:
            raise DataError(
                f"countdown's data option numbers={options['numbers']!r} must be N or LOW-HIGH "
                f"between {FEWEST_NUMBERS} and {MOST_NUMBERS}, such as 3 or 3-4."
            )
    largest = whole("largest", options.get("largest", str(default.largest)))
    if not LARGEST_BOUNDS[0] <= largest <= LARGEST_BOUNDS[1]:
        low_bound, high_bound = LARGEST_BOUNDS
        raise DataError(f"countdown's data option largest={largest} must be between {low_bound} and {high_bound}.")
    operators = options.get("operators", default.operators)
    if not operators or set(operators) - set("+-*/") or len(set(operators)) < len(operators):
        raise DataError(
            f"countdown's data option operators={operators!r} must be some of + - * /, each once, such as +-."
        )
    return generated.Recipe(numbers, largest, operators, whole("seed", options.get("seed", str(default.seed))))


def whole(name: str, text: str) -> int:
    """The value of an option that is a whole number. Raises DataError if it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise DataError(f"countdown's data option {name}={text!r} must be a whole number.")
    return int(text)
