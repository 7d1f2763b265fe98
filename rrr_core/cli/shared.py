"""What several commands share: the run folder and the option that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rrr_core.tasks.requests import read_request
from rrr_core.tasks.settings import TaskSettings


def folder_option(written: str, default: str = "runs/TASK") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--folder`: the run folder; `written` says what the command writes there."""
    return click.option(
        "--folder",
        type=click.Path(path_type=Path),
        help=f"Run folder: {written}. The same folder and settings resume.  [default: {default}]",
    )


def run_folder(folder: Path | None, task: TaskSettings) -> Path:
    """The folder the user named, else `runs/TASK` or `runs/TASK+OVERLAY`, without the overlay's options."""
    return folder or Path("runs") / "+".join([task.name or "", *(read_request(overlay)[0] for overlay in task.with_)])
