"""`rrr run`: the whole job in one resumable run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.processes import executor, processes_option
from rrr_core.cli.shared import folder_option, run_folder

SECTIONS = ("task", "model")
STAGES = ("mine", "train", "eval", "verify")
"""Sections whose options are prefixed with the stage's name, since some stages share option names."""


@click.command("run", cls=SettingsCommand)
@folder_option("run.json, mine, train, eval and report.html")
@with_settings(*SECTIONS, "cluster", prefixed=STAGES, several_tasks=True)
@processes_option
def command(folder: Path | None, **settings: Any) -> None:
    """Mine TASK's failures, train on them, evaluate before and after, write the report; resumes where it stopped.

    With several tasks, each is mined and evaluated by itself, and one training takes the failures of all.
    """
    run_and_print(folder or run_folder(None, settings["task"]), **settings)


def run_and_print(folder: Path, **settings: Any) -> None:
    """Do the whole run, then print its table, where the time went and where the report is."""
    from rrr_core import pipeline
    from rrr_core.cli.progress import make_progress
    from rrr_core.cli.tables import print_comparison

    result = pipeline.run(pipeline.RunSettings(**settings), folder, make_progress(), executor())
    for task, comparison in result.comparisons.items():
        if len(result.comparisons) > 1:
            click.echo(f"{task}:")
        print_comparison(comparison)
    click.echo(f"time: {result.spent.describe()}")
    click.echo(f"report: {result.report}")
