"""`--data KEY=VALUE` options of a task whose rows are generated, come from a hub, or are in the user's files.

    OPTIONS = (
        DataOption("source", "where the rows come from", default=GENERATED, sources=KINDS),
        DataOption("seed", "seed of the generator", "whole number", "0", sources=(GENERATED,)),
    )
    chosen = DataOptions("trivia", options, OPTIONS)
    chosen.check(split, {GENERATED: ("train", "test", "warmup")})
    seed = chosen.whole("seed")

Whatever is invalid raises DataError, in one line that names task and option and says what to give.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rrr_core.errors import DataError, nearest
from rrr_core.hookspecs import DataOption
from rrr_core.row_files.folders import read_rows
from rrr_core.row_files.reading import WANTED_SUFFIXES, PlacedRow, RowShape, listed
from rrr_core.row_files.saved import is_one

GENERATED, HUB, FILE, FOLDER = KINDS = ("generated", "hub", "a file", "a folder")
"""Kinds of source that the option `source` may name."""
SOURCE = "source"
TEXT, WHOLE, NUMBER, FLAG = VALUE_KINDS = ("text", "whole number", "number", "true or false")
"""Kinds of value that an option may have."""


def require_known(task: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise DataError if a data option is not among those the task knows, suggesting the nearest and listing all."""
    known = list(known)
    for name in given:
        if name not in known:
            has = f"It has {', '.join(known)}." if known else "It has none."
            raise DataError(f"{task} has no data option {name!r}.{nearest(name, known)} {has}")


@dataclass(frozen=True, slots=True)
class DataOptions:
    """The data options of one call. An unknown or malformed one raises DataError here, or when it is read."""

    task: str
    given: Mapping[str, str]
    known: Sequence[DataOption] | Mapping[str, Sequence[str]]
    """Every option, including `source`. A mapping gives only the kinds of source that each belongs to."""
    default_source: str = ""
    """The source if the user names none: `generated`, `hub` or a path; by default the one that `source` declares."""

    def __post_init__(self) -> None:
        declared = self.declared
        require_known(self.task, self.given, declared)
        for name, text in self.given.items():
            check_value(self.task, declared[name], text)

    @property
    def declared(self) -> dict[str, DataOption]:
        """Name → option."""
        if isinstance(self.known, Mapping):
            return {name: DataOption(name, sources=tuple(sources)) for name, sources in self.known.items()}
        return {option.name: option for option in self.known}

    @property
    def source(self) -> str:
        """The user's `source`, or the default."""
        declared = self.declared.get(SOURCE)
        return self.given.get(SOURCE) or self.default_source or (declared and declared.default) or GENERATED

    @property
    def kind(self) -> str:
        """Which of `KINDS` the source is.

        A path that does not exist counts as a file, and so does a folder without splits: one data set that
        `datasets.save_to_disk` wrote.
        """
        if self.source in (GENERATED, HUB):
            return self.source
        try:
            path = Path(self.source)
            return FOLDER if path.is_dir() and not is_one(path) else FILE
        except (OSError, ValueError):  # an impossible file name, which reading it reports
            return FILE

    def check(self, split: str, splits: Mapping[str, Sequence[str]] | None = None) -> None:
        """Refuse a source the task does not have, a split the source does not have, and options of another kind.

        `splits` lists the splits of each kind; the default is `train` and `test`.
        """
        self.check_sources()
        known = tuple((splits or {}).get(self.kind, ("train", "test")))
        if split not in known:
            raise DataError(
                f"{self.task}'s source={self.source} has no split {split!r}.{nearest(split, known)}"
                f" It has {', '.join(known)}."
            )

    def check_sources(self) -> None:
        """Refuse a source the task does not have, and options that belong to sources of another kind."""
        declared = self.declared
        if SOURCE not in declared:
            return
        kinds = declared[SOURCE].sources or KINDS
        if self.kind not in kinds:
            raise DataError(
                f"{self.task} takes no rows from source={self.source[:80]}.{nearest(self.source, self._words)}"
                f" Give {listed(kinds, 'or')}."
            )
        for name in self.given:
            owners = declared[name].sources
            if owners and self.kind not in owners:
                raise DataError(
                    f"{self.task}'s data option {name!r} belongs to source={listed(owners, 'or')}, "
                    f"not to source={self.source}."
                )

    def text(self, name: str) -> str:
        """The value of an option, or its declared default."""
        return self.given.get(name, self.declared[name].default)

    def whole(self, name: str, default: int | None = None, bounds: tuple[float, float] | None = None) -> int:
        """The value of a whole-number option, of at most 18 digits and within `bounds`.

        Default and bounds are the declared ones where they are not given here.
        """
        if name not in self.given:
            return int(self.declared[name].default) if default is None else default
        bounds = bounds or self.declared[name].bounds
        value = as_whole(self.task, name, self.given[name], bounds is not None and bounds[0] < 0)
        check_bounds(self.task, name, value, bounds)
        return value

    def as_whole(self, name: str, text: str) -> int:
        """The whole number in an option's value, or in a part of it."""
        return as_whole(self.task, name, text)

    def choice(self, name: str, choices: Sequence[str] = ()) -> str:
        """The value of an option that is one of `choices`, by default the declared ones.

        Where the user gives none it is the declared default, or the first.
        """
        option = self.declared[name]
        choices = choices or option.choices
        value = self.given.get(name) or option.default or choices[0]
        check_choice(self.task, name, value, choices)
        return value

    def rows_of_path(self, shape: RowShape, split: str = "") -> Iterator[PlacedRow]:
        """The rows of the file `source`, or of one split's file in the folder `source`."""
        path = self.source
        try:
            if not Path(path).suffix and not Path(path).exists():
                wanted = listed([*map(repr, self._words), f"a path to a {WANTED_SUFFIXES} file"], "or")
                raise DataError(
                    f"{self.task}'s data option source={path[:80]!r} is not an existing file or folder."
                    f"{nearest(path, self._words)} Give {wanted}."
                )
            return read_rows(Path(path), shape, split)
        except (OSError, ValueError) as error:  # an impossible file name, or a folder that may not be listed
            reason = error.strerror if isinstance(error, OSError) else error
            raise DataError(f"{self.task}'s data option source={path[:80]!r} cannot be read: {reason}.") from error

    @property
    def _words(self) -> list[str]:
        """What `source` may name besides a path."""
        return [kind for kind in self.declared[SOURCE].sources or KINDS if kind in (GENERATED, HUB)]


def check_value(task: str, option: DataOption, text: str) -> None:
    """Raise DataError if a text is no value of an option."""
    if option.kind == WHOLE:
        is_signed = option.bounds is not None and option.bounds[0] < 0
        check_bounds(task, option.name, as_whole(task, option.name, text, is_signed), option.bounds)
    elif option.kind == NUMBER:
        check_bounds(task, option.name, as_number(task, option.name, text), option.bounds)
    elif option.kind == FLAG:
        check_choice(task, option.name, text, ("true", "false"))
    if option.choices:
        check_choice(task, option.name, text, option.choices)


def as_whole(task: str, name: str, text: str, is_signed: bool = False) -> int:
    """The whole number in an option's value, which may be below zero only if `is_signed`."""
    digits = text.removeprefix("-") if is_signed else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise DataError(f"{task}'s data option {name}={text[:80]!r} must be a whole number.")
    return int(text)


def as_number(task: str, name: str, text: str) -> float:
    """The number in an option's value."""
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{task}'s data option {name}={text[:80]!r} must be a number.")
    return value


def check_bounds(task: str, name: str, value: float, bounds: tuple[float, float] | None) -> None:
    if bounds and not bounds[0] <= value <= bounds[1]:
        low, high = (f"{bound:.15g}" for bound in bounds)
        raise DataError(f"{task}'s data option {name}={value} must be between {low} and {high}.")


def check_choice(task: str, name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise DataError(
            f"{task}'s data option {name}={value[:80]!r} must be {listed(choices, 'or')}.{nearest(value, choices)}"
        )
