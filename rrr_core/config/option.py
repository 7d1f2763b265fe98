"""Settings: frozen dataclasses whose fields are the one definition of every option.

The command line, the TOML file, the documentation and the manifest are all made from these fields.
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
) -> Any:
    """A field of a settings dataclass.

    The field's annotation is its type: `int`, `float`, `str`, `bool`, those `| None`, `tuple[str, ...]` (an option that
    may be repeated), or `Mapping[str, str]` (a repeated `KEY=VALUE`). `further` gives more choices, such as those that
    installed packages bring; it is asked only for a value that is none of `choices`.
    """
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices) if choices else None,
        "further": further,
    }
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
