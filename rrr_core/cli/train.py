"""`rrr train`: train reflections on a failure set."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.processes import executor, processes_option
from rrr_core.cli.shared import folder_option, part_of, run_folder
from rrr_core.errors import DataError, RrrError
from rrr_core.runs.layout import RunFolder
from rrr_core.text import counted

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
    help="The failure set of one task: a folder that `rrr mine` wrote.  [default: FOLDER/mine]",
)
@with_settings("task", "model", "train", prefixed=("verify",), several_tasks=True)
@processes_option
def command(
    task: TaskSettings,
    model: ModelSettings,
    train: TrainSettings,
    verify: VerifySettings,
    folder: Path | None,
    failures: Path | None,
) -> None:
    """Train a model's reflections on TASK's failure set with masked GRPO.

    With several tasks, on the failure sets of all, each in FOLDER/tasks/TASK/mine.
    """
    from rrr_core import pipeline
    from rrr_core.cli.progress import make_progress

    opened, target = pipeline.open_tasks(task), RunFolder(run_folder(folder, task))
    progress = make_progress()
    chosen = pipeline.choose_model(model, *(each.task for each in opened), run=target.path, progress=progress)
    chosen = pipeline.with_date(chosen, target.path)
    pipeline.check_trainable(chosen)
    if failures is not None and len(opened) > 1:
        raise RrrError("--failures names one task's failure set: with several tasks, leave it out.")
    sets = {each.name: part_of(target.path, each.name, len(opened)).mine for each in opened}
    try:
        found = pipeline.failures_in({name: failures or mined.path for name, mined in sets.items()})
    except DataError as error:
        lacking = [mined for mined in sets.values() if not mined.shards()]
        if failures is not None or not lacking:
            raise
        named = ["--model", model.model] if model.model else []
        command = shlex.join(["rrr", "mine", *sets, *named, "--folder", str(target.path)])
        raise DataError(
            f"{lacking[0].path} holds no failure set: run `{command}` first"
            f"{', or name one with --failures' if len(sets) == 1 else ''}."
        ) from error

    if not model.model and (note := pipeline.own_model_note([each.task for each in opened], train.steps)):
        progress.notice(note)

    from rrr_core.training.run import leave_processes
    from rrr_core.training.run import train as train_on

    given = [each.task for each in opened], found, chosen, target.train.path, train
    summary = train_on(*given, progress, verify, executor())
    leave_processes()
    done = f"{counted(summary.steps, 'step')} on {counted(summary.failures, 'failure')}"
    click.echo(f"{summary.model}: trained for {done}")
