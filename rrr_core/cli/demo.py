"""`rrr demo`: `rrr run` with the settings that a task suggests, on the model that comes with its plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.run import SECTIONS, STAGES, run_and_print
from rrr_core.cli.shared import folder_option

DEFAULT_TASK = "countdown"


@click.command("demo", cls=SettingsCommand)
@folder_option("run.json, mine, train, eval and report.html", default="runs/demo, or runs/demo-TASK of another task")
@with_settings(*SECTIONS, prefixed=STAGES, presets={"task": {"name": DEFAULT_TASK}}, task_presets="demo")
def command(folder: Path | None, **settings: Any) -> None:
    """See a small model learn to reflect, in minutes on two cores, without a network: Countdown, or another TASK.

    TASK suggests the settings: where you give none, its own go before the defaults that are listed here.
    """
    name = settings["task"].name
    default = Path("runs") / ("demo" if name == DEFAULT_TASK else f"demo-{name}")
    run_and_print(folder or default, **settings)
