"""The run folders that a page is about: one for a run, one for each task of a run of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, RrrError
from rrr_core.evaluation.transfer import read_transfer
from rrr_core.runs.layout import RunFolder


@dataclass(frozen=True, slots=True)
class Transfer:
    """What training on each task does on all of them, of one folder of `rrr transfer`."""

    name: str
    matrix: Mapping[str, Any]
    """The content of `transfer.json`."""


def names_of(folders: Sequence[Path]) -> list[str]:
    """A short, distinct name for each folder: its own, prefixed with its parent's if two are the same."""
    names = [folder.resolve().name or str(folder) for folder in folders]
    return [
        name if names.count(name) == 1 else f"{folder.resolve().parent.name}/{name}"
        for name, folder in zip(names, folders, strict=True)
    ]


def parts_of(folder: Path, name: str) -> list[tuple[RunFolder, str]]:
    """A run, or the parts of one of several tasks, each with its name. Raises RrrError for a folder that is no run."""
    if not folder.is_dir():
        raise RrrError(f"report: {folder} is not a folder; give a folder that `rrr run` made")
    files = RunFolder(folder)
    if not files.record.exists() and not files.has_stage():
        raise RrrError(
            f"report: {folder} holds no run (no run.json, mine/, train/ or eval/); give a folder that `rrr run` made"
        )
    return [(part, f"{name}: {part.path.name}") for part in files.parts()] or [(files, name)]


def transfers_of(folder: Path, name: str, say: Callable[[str], None]) -> list[Transfer]:
    """The transfer matrix of a folder, if it has one that can be read."""
    path = RunFolder(folder).transfer
    if not path.exists():
        return []
    try:
        return [Transfer(name, read_transfer(path))]
    except DataError as error:
        say(f"{name}: {error}")
        return []
