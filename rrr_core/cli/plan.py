"""`rrr plan`: what a run will take, before it is started."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.run import SECTIONS, STAGES
from rrr_core.errors import RrrError
from rrr_core.processes.launch import count_of
from rrr_core.processes.world import AUTO, world_of


@click.command("plan", cls=SettingsCommand)
@click.option(
    "--accelerator",
    metavar="NAME",
    help="Plan for an accelerator that is not here, such as H100: memory from its data sheet, hours from an assumed"
    " share of its peak.",
)
@click.option(
    "--gpu-memory",
    type=click.FloatRange(min=0, min_open=True),
    metavar="GB",
    help="Memory of one device, in GB (10⁹ bytes); by default this machine's, or the accelerator's.",
)
@click.option(
    "--price",
    type=click.FloatRange(min=0),
    metavar="PER_HOUR",
    help="Price of one device for an hour, in any currency.",
)
@click.option(
    "--processes",
    metavar=f"N|{AUTO}",
    help="Plan for a run with this `--processes`, each with a GPU of its own or a share of the CPU's cores; auto is one"
    " for each GPU of this machine.  [default: 1]",
)
@click.option(
    "--from",
    "past",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Take lengths, pass rates and speeds from a past run's folder, in place of the probe.",
)
@click.option(
    "--probe/--no-probe",
    default=None,
    help="Whether to load the model, play a few rows and time a training pass.  [default: on, without --accelerator and"
    " --from]",
)
@click.option(
    "--probe-seconds",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="About how long the probe may take once the model is loaded: fewer rows are tried, and texts are cut off, to"
    " stay within it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@with_settings(*SECTIONS, prefixed=STAGES, several_tasks=True)
def command(
    accelerator: str | None,
    gpu_memory: float | None,
    price: float | None,
    processes: str | None,
    past: Path | None,
    probe: bool | None,
    probe_seconds: float,
    as_json: bool,
    **settings: Any,
) -> None:
    """Estimate what `rrr run` with these options will take: tokens, hours, memory, disk, money, and what fits.

    It takes the options of `rrr run`, and shows every `--train-sharding` beside the one that is asked for. Nothing is
    written, but a GGUF model is converted, as the run would.
    """
    from rrr_core.cli.plan_tables import plan_json, print_plan
    from rrr_core.cli.progress import make_progress
    from rrr_core.pipeline import RunSettings
    from rrr_core.planning.plan import make_plan
    from rrr_core.planning.settings import PlanOptions

    count = planned_processes(processes, accelerator)
    options = PlanOptions(accelerator, gpu_memory, price, count, past, probe, probe_seconds)
    plan = make_plan(RunSettings(**settings), options, make_progress())
    if as_json:
        click.echo(json.dumps(plan_json(plan), indent=2))
    else:
        print_plan(plan)


def planned_processes(text: str | None, accelerator: str | None) -> int:
    """How many processes are planned for; the plan itself is made by one. Raises RrrError."""
    if (world := world_of(os.environ)).size > 1:
        raise RrrError(
            f"one process makes a plan, and {world.launcher} has started {world.size}: start it without, and say"
            f" --processes {world.size}."
        )
    if text == AUTO and accelerator is not None:
        raise RrrError(
            f"--processes {AUTO} counts the GPUs of this machine, and --accelerator {accelerator} is not here: give a"
            " number."
        )
    return 1 if text is None else count_of(text)
