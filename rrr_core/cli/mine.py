"""`rrr mine`: collect failing attempts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.processes import executor, processes_option
from rrr_core.cli.shared import folder_option, part_of, run_folder

if TYPE_CHECKING:
    from rrr_core.generation import ModelSettings
    from rrr_core.mining import MineSettings
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.verification import VerifySettings


@click.command("mine", cls=SettingsCommand)
@folder_option("the failure set goes to FOLDER/mine")
@processes_option
@with_settings("task", "model", "mine", prefixed=("verify",), several_tasks=True)
def command(
    task: TaskSettings, model: ModelSettings, mine: MineSettings, verify: VerifySettings, folder: Path | None
) -> None:
    """Have a model try each row of TASK until it fails, and keep the failures.

    With several tasks, each one's failure set goes to FOLDER/tasks/TASK/mine.
    """
    from rrr_core import mining, pipeline
    from rrr_core.cli.progress import make_progress

    opened, run = pipeline.open_tasks(task), run_folder(folder, task)
    targets = [part_of(run, each.name, len(opened)).mine.path for each in opened]
    progress = make_progress()
    chosen = pipeline.choose_model(model, *(each.task for each in opened))
    engine = pipeline.open_engine(pipeline.with_date(chosen, run), progress)
    for each, target in zip(opened, targets, strict=True):
        summary = mining.mine(each.task, engine, target, each.fitting(mine), each.data, progress, verify, executor())
        click.echo(f"{target}: {summary.describe()}")
