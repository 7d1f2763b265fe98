"""`rrr tasks`: what is installed, and whether it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rrr_core.cli.columns import aligned
from rrr_core.cli.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rrr_core.tasks import TaskDescription

HEADINGS = ("task", "distribution", "version", "state", "hooks")


@click.command("tasks")
def command() -> None:
    """List the installed tasks and overlays, who brings them, their hooks, and what is wrong with the broken ones."""
    from rrr_core.tasks import describe_task, find_overlays, find_tasks

    tasks, overlays = find_tasks(), find_overlays()
    if not tasks:
        click.echo("no task is installed; for one, pip install rrr-countdown")
    for headings, entries in ((HEADINGS, tasks), (("overlay", *HEADINGS[1:]), overlays)):
        if entries:
            click.echo("\n".join(table(headings, [describe_task(entry) for entry in entries])))


def table(headings: Sequence[str], descriptions: Sequence[TaskDescription]) -> list[str]:
    """Aligned lines: one for each description, and the error of a broken one in its own line below it."""
    rows = [
        (
            description.entry.name,
            description.entry.distribution,
            description.entry.version,
            "ok" if description.state == "ok" else "broken",
            " ".join(hook.removeprefix("rrr_") for hook in description.hooks),
        )
        for description in descriptions
    ]
    heading, *aligned_rows = aligned(headings, rows)
    lines = [heading]
    for line, description in zip(aligned_rows, descriptions, strict=True):
        lines.append(line)
        if description.state != "ok":
            lines.append(f"  {one_line(description.state)}")
    return lines
