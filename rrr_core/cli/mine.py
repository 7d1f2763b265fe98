"""`rrr mine`: collect failing attempts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.processes import executor, processes_option
from rrr_core.cli.shared import folder_option, part_of, run_folder

if TYPE_CHECKING:
    from rrr_core.cluster.settings import ClusterSettings
    from rrr_core.generation import ModelSettings
    from rrr_core.mining import MineSettings
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.verification import VerifySettings


@click.command("mine", cls=SettingsCommand)
@folder_option("the failure set goes to FOLDER/mine")
@with_settings("task", "model", "mine", "cluster", prefixed=("verify",), several_tasks=True)
@processes_option
def command(
    task: TaskSettings,
    model: ModelSettings,
    mine: MineSettings,
    cluster: ClusterSettings,
    verify: VerifySettings,
    folder: Path | None,
) -> None:
    """Have a model try each row of TASK until it fails, and keep the failures.

    With several tasks, each one's failure set goes to FOLDER/tasks/TASK/mine.
    """
    from rrr_core import pipeline
    from rrr_core.cli.progress import make_progress

    opened, run = pipeline.open_tasks(task), run_folder(folder, task)
    targets = [part_of(run, each.name, len(opened)).mine.path for each in opened]
    progress = make_progress()
    chosen = pipeline.choose_model(model, *(each.task for each in opened), run=run, progress=progress)
    dated = partial(pipeline.with_date, chosen, run)
    with pipeline.Workers(dated, cluster, executor(), progress, verify) as workers:
        for each, target in zip(opened, targets, strict=True):
            click.echo(f"{target}: {workers.mine(each, target, mine).describe()}")
