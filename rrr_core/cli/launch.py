"""`rrr launch`: write the job that runs a command on several machines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.launch import PLACES, job_script

if TYPE_CHECKING:
    from rrr_core.launch import LaunchSettings

ADDED = ("--ray", "--ray-actors", "--processes")
"""Options by which the job says itself who works."""


@click.command("launch", cls=SettingsCommand)
@click.argument("place", type=click.Choice(list(PLACES)), metavar="|".join(PLACES))
@with_settings("launch")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="-- rrr COMMAND...")
def command(place: str, launch: LaunchSettings, arguments: tuple[str, ...]) -> None:
    """Print the job that runs an rrr command on several machines: a script for Slurm, for Ray, or for SkyPilot.

    Under Slurm and SkyPilot, torchrun starts the command's processes on every machine, and they share its work. With
    Ray, one process gives the shards of `mine`, `eval` and `run` to actors, and the death of a machine costs no more
    than the shards that it was at. The command is checked first. Nothing is run or submitted.

    \b
    rrr launch slurm --nodes 4 --gpus 8 -- rrr train countdown --folder /shared/run
    """
    given = arguments[1:] if arguments[:1] == ("rrr",) else arguments
    script = job_script(place, launch, given)
    check_command(given)
    click.echo(script, nl=False)


def check_command(arguments: Sequence[str]) -> None:
    """Raise click's error for arguments that `rrr` would refuse, or that the job itself adds."""
    from rrr_core.cli import app

    for option in ADDED:
        if any(argument == option or argument.startswith(f"{option}=") for argument in arguments):
            raise click.UsageError(f"{option} in `rrr {shlex.join(arguments)}`: leave it out, since the job sets it.")
    root = click.Context(app, info_name="rrr")
    found = app.get_command(root, arguments[0])
    assert found is not None
    found.make_context(arguments[0], list(arguments[1:]), parent=root)
