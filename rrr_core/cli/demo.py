"""`rrr demo`: `rrr run` with the task's suggested settings, on the model that comes with its plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.processes import processes_option
from rrr_core.cli.run import SECTIONS, STAGES, run_and_print
from rrr_core.cli.shared import folder_option
from rrr_core.runs.layout import DEFAULT_RUNS

DEFAULT_TASK = "countdown"


@click.command("demo", cls=SettingsCommand)
@folder_option("run.json, mine, train, eval and report.html", default="runs/demo, or runs/demo-TASK for another task")
@with_settings(*SECTIONS, prefixed=STAGES, presets={"task": {"name": DEFAULT_TASK}}, task_presets="demo")
@processes_option
def command(folder: Path | None, **settings: Any) -> None:
    """Watch a small model learn to reflect, in minutes on two cores and offline: on Countdown, or another TASK.

    TASK suggests settings: they override the defaults listed here, and the settings you give override them.
    """
    name = settings["task"].name
    default = DEFAULT_RUNS / ("demo" if name == DEFAULT_TASK else f"demo-{name}")
    run_and_print(folder or default, **settings)
