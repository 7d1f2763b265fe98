"""Fields of settings dataclasses: the single definition of every option.

The command line, the TOML file, the documentation and the manifest are all derived from these fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] | None = None,
    further: Callable[[], Iterable[str]] | None = None,
    or_one: bool = False,
) -> Any:
    """A field of a settings dataclass.

    The field's annotation is its type: `int`, `float`, `str`, `bool`, any of these `| None`, `tuple[str, ...]` (a
    repeatable option), or `Mapping[str, str]` (a repeatable `KEY=VALUE`). `further` returns more choices, such as those
    of installed packages; it is called only for a value that is not among `choices`. `or_one` lets a file give a single
    text in place of a list of one.
    """
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices) if choices else None,
        "further": further,
        "or_one": or_one,
    }
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
