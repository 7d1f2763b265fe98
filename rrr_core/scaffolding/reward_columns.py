"""The columns that a reward function needs, and the rows that lack one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, RrrError
from rrr_core.rewards import Shape, called, needs
from rrr_core.row_files import PlacedRow, names
from rrr_core.scaffolding.reward_source import RewardSource


def require_what_it_takes(source: RewardSource, path: Path, placed: Sequence[PlacedRow]) -> None:
    """Raise RrrError for a parameter that no row fills, and DataError, with the place, for a row that lacks one."""
    wanted, who = needs(source.function), called(source.function)
    for name in wanted:
        lacking = [where for where, row in placed if name not in source.shape.arguments(row, "")]
        if not lacking:
            continue
        if len(lacking) < len(placed):
            raise DataError(f"{lacking[0]}: no {column_of(name)!r}, which {who} takes.")
        columns = dict.fromkeys(column for _, row in placed for column in row)
        raise RrrError(
            f"--from-reward {source.target}: {who} takes {name!r}, and the rows of {path} have {names(columns)}: "
            f"{_remedy(source.shape, name, placed[0][1])}."
        )


def column_of(name: str) -> str:
    """The column that fills a parameter: TRL's `prompts` come from `prompt`."""
    return "prompt" if name == "prompts" else name


def _remedy(shape: Shape, name: str, row: Mapping[str, Any]) -> str:
    column = column_of(name)
    if name in shape.arguments({**row, column: ""}, ""):
        return f"add the column {column!r}, or give the one that holds it this name"
    return f"{shape.name} {shape.signature} has no such argument, so give it a default"
