"""`--data KEY=VALUE` options of a task whose rows are generated, come from a hub, or are in the user's files.

    OPTIONS = {"source": KINDS, "seed": (GENERATED,), "dataset": (HUB,)}
    chosen = DataOptions("trivia", options, OPTIONS)
    chosen.check(split, {GENERATED: ("train", "test", "warmup")})
    seed = chosen.whole("seed", default=0)

Whatever is invalid raises DataError, in one line that names task and option and says what to give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rrr_core.errors import DataError, nearest
from rrr_core.row_files.folders import read_rows
from rrr_core.row_files.reading import WANTED_SUFFIXES, PlacedRow, RowShape, listed
from rrr_core.row_files.saved import is_one

GENERATED, HUB, FILE, FOLDER = KINDS = ("generated", "hub", "a file", "a folder")
"""Kinds of source that the option `source` may name."""


def require_known(task: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise DataError if a data option is not among those the task knows, suggesting the nearest and listing all."""
    known = list(known)
    for name in given:
        if name not in known:
            raise DataError(f"{task} has no data option {name!r}.{nearest(name, known)} It has {', '.join(known)}.")


@dataclass(frozen=True, slots=True)
class DataOptions:
    """The data options of one call. An unknown option raises DataError here, an invalid one when it is read."""

    task: str
    given: Mapping[str, str]
    known: Mapping[str, Sequence[str]]
    """Every option, including `source`, with the kinds of source it belongs to."""
    default_source: str = GENERATED
    """The source if the user names none: `generated`, `hub` or a path."""

    def __post_init__(self) -> None:
        require_known(self.task, self.given, self.known)

    @property
    def source(self) -> str:
        """The user's `source`, or the default."""
        return self.given.get("source", self.default_source)

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
        if self.kind not in self.known["source"]:
            kinds = listed(self.known["source"], "or")
            raise DataError(
                f"{self.task} takes no rows from source={self.source[:80]}.{nearest(self.source, self._words)}"
                f" Give {kinds}."
            )
        known = tuple((splits or {}).get(self.kind, ("train", "test")))
        if split not in known:
            raise DataError(
                f"{self.task}'s source={self.source} has no split {split!r}.{nearest(split, known)}"
                f" It has {', '.join(known)}."
            )
        for name in self.given:
            if self.kind not in self.known[name]:
                owners = listed(self.known[name], "or")
                raise DataError(
                    f"{self.task}'s data option {name!r} belongs to source={owners}, not to source={self.source}."
                )

    def whole(self, name: str, default: int, bounds: tuple[int, int] | None = None) -> int:
        """The value of a whole-number option, of at most 18 digits and within `bounds`."""
        if name not in self.given:
            return default
        value = self.as_whole(name, self.given[name])
        if bounds and not bounds[0] <= value <= bounds[1]:
            raise DataError(f"{self.task}'s data option {name}={value} must be between {bounds[0]} and {bounds[1]}.")
        return value

    def as_whole(self, name: str, text: str) -> int:
        """The whole number in an option's value, or in a part of it."""
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise DataError(f"{self.task}'s data option {name}={text[:80]!r} must be a whole number.")
        return int(text)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """The value of an option that is one of `choices`; by default the first."""
        value = self.given.get(name, choices[0])
        if value not in choices:
            raise DataError(
                f"{self.task}'s data option {name}={value!r} must be {listed(choices, 'or')}.{nearest(value, choices)}"
            )
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
        return [kind for kind in self.known["source"] if kind in (GENERATED, HUB)]
