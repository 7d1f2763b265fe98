"""`rrr transfer`: whether reflections trained on one task help on the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.run import SECTIONS, STAGES
from rrr_core.cli.shared import folder_option, run_folder


@click.command("transfer", cls=SettingsCommand)
@folder_option("run.json, tasks, trained, transfer.json and report.html", default="runs/transfer-TASK,TASK")
@click.option("--mixture", is_flag=True, help="Also train one model on all tasks together: one more row.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Trainings of each row, with --train-seed and the numbers after it: intervals are then over seeds.",
)
@with_settings(*SECTIONS, prefixed=STAGES, several_tasks=True)
def command(folder: Path | None, mixture: bool, seeds: int, **settings: Any) -> None:
    """Train reflections on each TASK, and evaluate the untrained model and every trained one on all of them."""
    from rrr_core import pipeline
    from rrr_core.cli.progress import make_progress
    from rrr_core.cli.tables import print_tables
    from rrr_core.cli.transfer_tables import transfer_tables

    default = run_folder(None, settings["task"])
    target = folder or default.with_name(f"transfer-{default.name}")
    done = pipeline.transfer(pipeline.RunSettings(**settings), target, make_progress(), mixture=mixture, seeds=seeds)
    print_tables(transfer_tables(done.matrix))
    click.echo(f"time: {done.spent.describe()}")
    click.echo(f"report: {done.report}")
