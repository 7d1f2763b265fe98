"""`rrr warmup`: supervised training on tasks' worked conversations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.shared import folder_option, run_folder

if TYPE_CHECKING:
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.training.warmup_settings import WarmupSettings


@click.command("warmup", cls=SettingsCommand)
@folder_option("checkpoints and the model go to FOLDER/warmup")
@click.option(
    "--model",
    help="The model to warm up: a folder, hub name, GGUF file or pip:NAME.  [default: a tiny one made from scratch]",
)
@with_settings("task", "warmup", task_presets="warmup", several_tasks=True)
def command(task: TaskSettings, warmup: WarmupSettings, folder: Path | None, model: str | None) -> None:
    """Train a model that lacks basic ability on the worked conversations of each TASK, dealt out by weight."""
    from rrr_core import pipeline
    from rrr_core.cli.progress import make_progress
    from rrr_core.generation import ModelSettings

    opened = [each.task for each in pipeline.open_tasks(task)]
    target, progress = run_folder(folder, task), make_progress()
    if model:
        model = pipeline.choose_model(ModelSettings(model=model), run=target, progress=progress).named

    from rrr_core.training.warmup import warm_up

    click.echo(str(warm_up(opened, target / "warmup", warmup, model, progress)))
