"""What to do if a task is not installed or its module cannot be imported; the reader may be its author."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

import rrr_core
from rrr_core.tasks.blame import fix_or_report
from rrr_core.tasks.discovery import OVERLAYS, TASKS, TaskEntry

INDEX = Path(rrr_core.__file__).parent / "index" / "known.json"
"""The index of tasks that comes with the core, which `rrr tasks --search` reads too."""
OUR_OVERLAYS = {"person-judge": "rrr-person-judge"}
"""The overlays of the project's own distributions. The core's are always installed."""
SOURCES = ("pyproject.toml", "*/pyproject.toml", "plugins/*/pyproject.toml")
"""Where to look for the source of a missing plugin: here, in a subfolder, and in a clone of the project."""


def import_advice(entry: TaskEntry, error: BaseException) -> str:
    """What to do about an error raised while importing the module of `entry`."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is None:
        return fix_or_report(entry.distribution)
    if f"{entry.value}.".startswith(f"{missing}."):
        return (
            f"Give the entry point in its pyproject.toml the module's name and install {entry.distribution} again, "
            "or report it to its authors."
        )
    if missing.partition(".")[0] == entry.value.partition(".")[0]:
        return fix_or_report(entry.distribution)
    return (
        f"Install {entry.distribution} again with all that it depends on; if {missing!r} is not among that, "
        "add it to its pyproject.toml, or report it to its authors."
    )


def known_tasks() -> dict[str, str]:
    """Task → its distribution, of the index that comes with the core.

    Other names are not guessed: anyone may publish `rrr-NAME`.
    """
    import json

    return {each["task"]: each["package"] for each in json.loads(INDEX.read_text(encoding="utf-8"))["tasks"]}


def install_advice(task: str, known: Mapping[str, str]) -> str:
    """How to install a missing task, from source if that is in the current folder; `known` is `known_tasks()`."""
    source = source_advice(task, TASKS)
    if task in known:
        return f"It comes with {known[task]}. {source or f'`pip install {known[task]}` adds it.'}"
    return source or "`rrr tasks` lists what is installed; `pip install DISTRIBUTION` adds one."


def overlay_advice(overlay: str, installed: Collection[str]) -> str:
    """`install_advice` for an overlay."""
    if overlay in OUR_OVERLAYS:
        ours = OUR_OVERLAYS[overlay]
        return f"It comes with {ours}. {source_advice(overlay, OVERLAYS) or f'`pip install {ours}` adds it.'}"
    return source_advice(overlay, OVERLAYS) or (
        f"Installed: {', '.join(sorted(installed))}; `pip install DISTRIBUTION` adds the one that offers it."
    )


def source_advice(name: str, group: str) -> str:
    """How to install what the current folder, or one of `SOURCES` in it, offers under a name; else an empty string."""
    folder = source_of(name, group, Path())
    if folder is None:
        return ""
    path = folder.as_posix()
    return f"Its source is here: `pip install -e {shlex.quote(path if path == '.' else f'./{path}')}` installs it."


def source_of(name: str, group: str, folder: Path) -> Path | None:
    """The first folder among `SOURCES` whose pyproject.toml offers the name, or None."""
    import tomllib

    for pattern in SOURCES:
        for path in sorted(folder.glob(pattern)):
            try:
                offered = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["entry-points"][group]
            except (OSError, ValueError, KeyError, TypeError):  # Not ours to report: it offers nothing.
                continue
            if isinstance(offered, dict) and name in offered:
                return path.parent
    return None
