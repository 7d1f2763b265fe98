"""`rrr mine`: collect failing attempts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.shared import folder_option, run_folder
from rrr_core.runs.layout import RunFolder

if TYPE_CHECKING:
    from rrr_core.generation import ModelSettings
    from rrr_core.mining import MineSettings
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.verification import VerifySettings


@click.command("mine", cls=SettingsCommand)
@folder_option("the failure set goes to FOLDER/mine")
@with_settings("task", "model", "mine", prefixed=("verify",))
def command(
    task: TaskSettings, model: ModelSettings, mine: MineSettings, verify: VerifySettings, folder: Path | None
) -> None:
    """Have a model try each row of TASK until it fails, and keep the failures."""
    from rrr_core import mining, pipeline
    from rrr_core.cli.progress import make_progress

    opened = pipeline.open_task(task)
    run = RunFolder(run_folder(folder, task))
    target = run.mine.path
    progress = make_progress()
    engine = pipeline.open_engine(pipeline.with_date(pipeline.choose_model(model, opened), run.path), progress)
    summary = mining.mine(opened, engine, target, mine, task.data, progress, verify)
    click.echo(f"{target}: {summary.describe()}")
