"""`rrr train`: train reflections on a failure set."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.shared import folder_option, run_folder
from rrr_core.errors import DataError
from rrr_core.runs.layout import RunFolder

if TYPE_CHECKING:
    from rrr_core.generation import ModelSettings
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.training.settings import TrainSettings
    from rrr_core.verification import VerifySettings


@click.command("train", cls=SettingsCommand)
@folder_option("checkpoints, metrics and the model go to FOLDER/train")
@click.option(
    "--failures",
    type=click.Path(path_type=Path),
    help="The failure set: a folder that `rrr mine` wrote.  [default: FOLDER/mine]",
)
@with_settings("task", "model", "train", prefixed=("verify",))
def command(
    task: TaskSettings,
    model: ModelSettings,
    train: TrainSettings,
    verify: VerifySettings,
    folder: Path | None,
    failures: Path | None,
) -> None:
    """Train a model's reflections on TASK's failure set with masked GRPO."""
    from rrr_core import pipeline
    from rrr_core.cli.progress import make_progress
    from rrr_core.mining.failure_set import read_failures

    opened = pipeline.open_task(task)
    target = RunFolder(run_folder(folder, task))
    chosen = pipeline.with_date(pipeline.choose_model(model, opened), target.path)
    pipeline.check_trainable(chosen)
    try:
        found = read_failures(failures or target.mine.path)
    except DataError as error:
        if failures is not None or target.mine.shards():
            raise
        named = ["--model", model.model] if model.model else []
        command = shlex.join(["rrr", "mine", opened.name, *named, "--folder", str(target.path)])
        raise DataError(
            f"{target.mine.path} holds no failure set: run `{command}` first, or name one with --failures."
        ) from error

    from rrr_core.training.run import leave_processes
    from rrr_core.training.run import train as train_on

    summary = train_on(opened, found, chosen, target.train.path, train, make_progress(), verify)
    leave_processes()
    click.echo(f"{summary.model}: trained for {summary.steps} steps on {summary.failures} failures")
