"""What to do where a task is not installed or its module cannot be imported: its reader may be its author."""

from __future__ import annotations

import shlex
from pathlib import Path

from rrr_core.tasks.blame import mend_or_tell
from rrr_core.tasks.discovery import TASKS, TaskEntry

OURS = {"apigen": "rrr-apigen", "countdown": "rrr-countdown"}
"""The tasks of the project's own distributions. Of other names none is guessed: anyone may publish `rrr-NAME`."""
SOURCES = ("pyproject.toml", "*/pyproject.toml", "plugins/*/pyproject.toml")
"""Where the source of a task may lie that is not installed: here, beside others, and in a clone of the project."""


def import_advice(entry: TaskEntry, error: BaseException) -> str:
    """What to do about an error that came up when the module of `entry` was imported."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is None:
        return mend_or_tell(entry.distribution)
    if f"{entry.value}.".startswith(f"{missing}."):
        return (
            f"Give the entry point in its pyproject.toml the module's name and install {entry.distribution} again, "
            "or tell its authors."
        )
    if missing.partition(".")[0] == entry.value.partition(".")[0]:
        return mend_or_tell(entry.distribution)
    return (
        f"Install {entry.distribution} again with all that it depends on; if {missing!r} is not among that, "
        "add it to its pyproject.toml, or tell its authors."
    )


def install_advice(task: str) -> str:
    """A sentence on how to install a task that is not: from its source where that lies in the current folder."""
    folder = source_of(task, Path())
    if folder is not None:
        path = folder.as_posix()
        return f"Its source is here: `pip install -e {shlex.quote(path if path == '.' else f'./{path}')}` installs it."
    adds = f"`pip install {OURS[task]}` adds it" if task in OURS else "`pip install DISTRIBUTION` adds one"
    return f"`rrr tasks` lists what is installed; {adds}."


def source_of(task: str, folder: Path) -> Path | None:
    """The first folder, this one or one of `SOURCES`, whose pyproject.toml offers the task; None where none does."""
    import tomllib

    for pattern in SOURCES:
        for path in sorted(folder.glob(pattern)):
            try:
                offered = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["entry-points"][TASKS]
            except (OSError, ValueError, KeyError, TypeError):  # It is not ours to mend, and offers nothing.
                continue
            if isinstance(offered, dict) and task in offered:
                return path.parent
    return None
