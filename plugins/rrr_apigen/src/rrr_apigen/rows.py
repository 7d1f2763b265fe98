"""The rows of a split, as the user's `--data KEY=VALUE` options ask for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rrr_apigen import generated, hub
from rrr_apigen.row_shape import SHAPE
from rrr_apigen.screening import POLICIES, screened
from rrr_apigen.splits import TEST_SHARE, split_of
from rrr_core.errors import DataError, nearest
from rrr_core.row_files import WANTED_SUFFIXES, PlacedRow, read_rows

KINDS = ("generated", "hub", "a file", "a folder")
OPTIONS: dict[str, tuple[str, ...]] = {
    "source": KINDS,
    "most_tools": ("generated",),
    "most_calls": ("generated",),
    "seed": ("generated",),
    "dataset": ("hub",),
    "revision": ("hub",),
    "test_share": ("hub", "a file"),
    "contradictions": ("hub", "a file", "a folder"),
}
"""Every option and the kinds of source that it belongs to."""

MOST_TOOLS_BOUNDS = (1, 8)
MOST_CALLS_BOUNDS = (1, 3)
TEST_SHARE_BOUNDS = (1, 99)


def load(split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows `{"query", "tools", "answers"}` of one split, lazily, in a fixed order; rows from outside may have an `id`.

    Raises DataError for an unknown split, option or value, and for data that cannot be read.
    """
    for name in options:
        if name not in OPTIONS:
            raise DataError(f"apigen has no data option {name!r}.{nearest(name, OPTIONS)} It has {', '.join(OPTIONS)}.")
    source = options.get("source", "generated")
    kind = kind_of(source)
    splits = tuple(generated.SPLIT_SHARES) if kind == "generated" else ("train", "test")
    if split not in splits:
        raise DataError(
            f"apigen's source={source} has no split {split!r}.{nearest(split, splits)} It has {', '.join(splits)}."
        )
    for name in options:
        if kind not in OPTIONS[name]:
            owners = " or ".join(", ".join(OPTIONS[name]).rsplit(", ", 1))
            raise DataError(f"apigen's data option {name!r} belongs to source={owners}, not to source={source}.")
    if kind == "generated":
        return generated.generate(split, recipe(options))
    policy = options.get("contradictions", POLICIES[0])
    if policy not in POLICIES:
        raise DataError(
            f"apigen's data option contradictions={policy!r} must be {', '.join(POLICIES[:-1])} or {POLICIES[-1]}."
            f"{nearest(policy, POLICIES)}"
        )
    share = whole("test_share", options.get("test_share", str(TEST_SHARE)), TEST_SHARE_BOUNDS)
    rows = placed_rows(source, split, options)
    if kind != "a folder":
        rows = (placed for placed in rows if split_of(placed[1]["query"], share) == split)
    shown = options.get("dataset", hub.DATASET) if kind == "hub" else source
    return screened(rows, policy, shown)


def placed_rows(source: str, split: str = "", options: Mapping[str, str] | None = None) -> Iterator[PlacedRow]:
    """All rows of the hub, of a file, or of a folder's split, each with its place, contradictions included."""
    options = options or {}
    if source == "hub":
        return hub.load(options.get("dataset", hub.DATASET), options.get("revision"))
    try:
        if not Path(source).suffix and not Path(source).exists():
            raise DataError(
                f"apigen's data option source={source[:80]!r} is no file or folder that exists."
                f"{nearest(source, ('generated', 'hub'))} Give 'generated', 'hub', or a path to a "
                f"{WANTED_SUFFIXES} file."
            )
        return read_rows(Path(source), SHAPE, split)
    except (OSError, ValueError) as error:  # a name that no file can have, or a folder that may not be listed
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"apigen's data option source={source[:80]!r} cannot be read: {reason}.") from error


def kind_of(source: str) -> str:
    """Which of `KINDS` a source is; what does not exist counts as a file."""
    if source in ("generated", "hub"):
        return source
    try:
        return "a folder" if Path(source).is_dir() else "a file"
    except (OSError, ValueError):  # a name that no file can have, which is told when it is read
        return "a file"


def recipe(options: Mapping[str, str]) -> generated.Recipe:
    """What generated rows are to look like. Raises DataError for a value that makes no rows."""
    default = generated.Recipe()
    return generated.Recipe(
        whole("most_tools", options.get("most_tools", str(default.most_tools)), MOST_TOOLS_BOUNDS),
        whole("most_calls", options.get("most_calls", str(default.most_calls)), MOST_CALLS_BOUNDS),
        whole("seed", options.get("seed", str(default.seed))),
    )


def whole(name: str, text: str, bounds: tuple[int, int] | None = None) -> int:
    """The value of an option that is a whole number. Raises DataError if it is none, or out of bounds."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise DataError(f"apigen's data option {name}={text[:80]!r} must be a whole number.")
    value = int(text)
    if bounds and not bounds[0] <= value <= bounds[1]:
        raise DataError(f"apigen's data option {name}={value} must be between {bounds[0]} and {bounds[1]}.")
    return value
