"""The files of an installed plugin, as a digest: whether a badge was written for what is installed here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from rrr_core.tasks.discovery import TaskEntry

SKIPPED = frozenset({"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"})


def files_digest(entry: TaskEntry) -> str:
    """The SHA-256 over names and contents of the files of the top-level module that holds the task; empty if unknown.

    Nothing is imported. The same whether the package is installed from a wheel or editable; what the package depends on
    is not in it.
    """
    try:
        spec = find_spec(entry.value.partition(":")[0].partition(".")[0])
    except (ImportError, ValueError):
        return ""
    if spec is None or not spec.origin:
        return ""
    origin = Path(spec.origin)
    if not spec.submodule_search_locations:
        return _over([(origin.name, origin)])
    folder = origin.parent
    return _over(
        (path.relative_to(folder).as_posix(), path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not SKIPPED.intersection(path.parts) and path.suffix != ".pyc"
    )


def _over(files: Iterable[tuple[str, Path]]) -> str:
    total = hashlib.sha256()
    try:
        for name, path in files:
            with open(path, "rb") as file:
                total.update(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n".encode())
    except OSError:
        return ""
    return total.hexdigest()
