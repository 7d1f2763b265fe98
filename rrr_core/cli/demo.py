"""`rrr demo`: `rrr run countdown` with preset settings on the model that comes with the plugin."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.run import SECTIONS, STAGES, run_and_print
from rrr_core.cli.shared import folder_option
from rrr_core.errors import RrrError
from rrr_core.presets import DEMO


@click.command("demo", cls=SettingsCommand)
@folder_option("run.json, mine, train, eval and report.html", default="runs/demo")
@with_settings(*SECTIONS, prefixed=STAGES, presets=DEMO)
def command(folder: Path | None, **settings: Any) -> None:
    """See a small model learn to reflect: Countdown, in minutes on two cores, without a network."""
    if settings["task"].name == "countdown" and find_spec("rrr_countdown") is None:
        raise RrrError("the demo plays Countdown: pip install rrr-countdown")
    run_and_print(folder or Path("runs/demo"), **settings)
