"""What several commands share: the run folder and the option that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rrr_core.errors import RrrError
from rrr_core.runs.layout import DEFAULT_RUNS, RunFolder
from rrr_core.tasks.requests import read_request
from rrr_core.tasks.settings import TaskSettings


class RunFolderPath(click.Path):
    """The folder of a run; a user who names none gets a hint."""

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        return "Give the folder of a run, such as runs/demo."


def folder_option(written: str, default: str = "runs/TASK") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--folder`: the run folder; `written` says what the command writes there."""
    return click.option(
        "--folder",
        type=click.Path(path_type=Path),
        help=f"Run folder: {written}. The same folder and settings resume.  [default: {default}]",
    )


def run_folder(folder: Path | None, task: TaskSettings) -> Path:
    """The folder the user named, else `runs/TASK` or `runs/TASK+OVERLAY`, without the overlay's options.

    Of several tasks, `runs/TASK,TASK`.
    """
    names = ("+".join([one.name or "", *(read_request(each)[0] for each in one.with_)]) for one in task.split())
    return folder or DEFAULT_RUNS / ",".join(names)


def part_of(folder: Path, task: str, count: int) -> RunFolder:
    """Where one of `count` tasks is mined and evaluated in a run folder.

    Raises RrrError for one task in the folder of a run of several, whose stages are elsewhere.
    """
    run = RunFolder(folder)
    if count > 1:
        return run.of_task(task)
    if run.parts():
        raise RrrError(
            f"{folder} holds a run of several tasks: name all of them, or use --folder {run.of_task(task).path}."
        )
    return run
