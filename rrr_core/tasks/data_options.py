"""A misspelt `--data` key is refused for every task: by its declaration, or because nobody has read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rrr_core.errors import DataError, nearest
from rrr_core.hookspecs import DataOption
from rrr_core.row_files import DataOptions


def check_declared(task: str, given: Mapping[str, str], declared: Sequence[DataOption]) -> None:
    """Raise DataError for an option that is not declared, a value that does not fit, and one of another source."""
    DataOptions(task, given, declared).check_sources()


class ReadOptions(dict[str, str]):
    """A user's data options, which remember what a plugin has asked for.

    One that copies or walks through them has asked for all, and refuses unknown ones itself.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__(given)
        self.asked: dict[str, None] = {}
        """The names asked for, whether they were given or not, in order."""

    def __getitem__(self, name: str) -> str:
        self.asked[name] = None
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked[str(name)] = None
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.asked[name] = None
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self.asked[name] = None
        return super().pop(name, *default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        self.asked[name] = None
        return super().setdefault(name, default)

    def __iter__(self) -> Iterator[str]:
        self._ask_all()
        return super().__iter__()

    def keys(self) -> Any:
        self._ask_all()
        return super().keys()

    def values(self) -> Any:
        self._ask_all()
        return super().values()

    def items(self) -> Any:
        self._ask_all()
        return super().items()

    def popitem(self) -> Any:
        self._ask_all()
        return super().popitem()

    def copy(self) -> dict[str, str]:
        self._ask_all()
        return super().copy()

    def __eq__(self, other: object) -> bool:
        self._ask_all()
        return super().__eq__(other)

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        self._ask_all()
        return super().__or__(other)

    def __ror__(self, other: Any) -> Any:
        self._ask_all()
        return super().__ror__(other)

    def _ask_all(self) -> None:
        self.asked.update(dict.fromkeys(super().keys()))


def rows_read_with(task: str, options: ReadOptions, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows. Raises DataError before the first of them for an option that the plugin has not asked for by then."""
    given = list(dict.keys(options))
    first = next(rows, None)
    for name in given:
        if name not in options.asked:
            known = list(options.asked)
            reads = f"It reads {', '.join(known)}." if known else "It reads none."
            raise DataError(f"{task} does not use the data option {name!r} here.{nearest(name, known)} {reads}")
    if first is not None:
        yield first
        yield from rows
