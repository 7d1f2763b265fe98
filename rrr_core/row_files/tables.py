"""What a table's columns say about nested objects, in pyarrow's types and in those of `datasets`.

A table may keep an object as JSON text (a string, or the type Json of either library), which keeps its keys, or as one
column per key, which gives each object the keys of all others. Nothing is imported: both libraries' types are walked by
what they offer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def column_of_keys(columns: Any, path: str) -> str | None:
    """The first key of the object at `path` that has become a column; None if the object has kept its own keys.

    `path` is like `answers.arguments`; lists on the way are looked through.
    """
    names = path.split(".")
    kind = _field(columns, names[0])
    for name in names[1:]:
        kind = _field(_item(kind), name)
    return next(iter(_keys(_item(kind))), None)


def _item(kind: Any) -> Any:
    """What a list holds, however deep; anything else as it is."""
    while True:
        if isinstance(kind, list) and kind:  # an older form of `datasets`
            kind = kind[0]
        elif hasattr(kind, "value_type"):  # pyarrow
            kind = kind.value_type
        elif hasattr(kind, "feature"):  # `datasets`
            kind = kind.feature
        else:
            return kind


def _keys(kind: Any) -> list[str]:
    """The keys of an object that is kept as columns."""
    if isinstance(kind, Mapping):
        return list(kind)
    if hasattr(kind, "num_fields") and hasattr(kind, "field"):
        return [kind.field(index).name for index in range(kind.num_fields)]
    return []


def _field(kind: Any, name: str) -> Any:
    """The type of a key that has become a column, or None."""
    if isinstance(kind, Mapping):
        return kind.get(name)
    if name not in _keys(kind) and name not in getattr(kind, "names", ()):
        return None
    found = kind.field(name)
    return getattr(found, "type", found)
