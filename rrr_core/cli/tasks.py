"""`rrr tasks`: what is installed, and whether it works."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from rrr_core.cli.columns import aligned
from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.errors import RrrError
from rrr_core.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rrr_core.tasks import TaskDescription
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.verification import VerifySettings

HEADINGS = ("task", "distribution", "version", "state", "hooks")


@click.command("tasks", cls=SettingsCommand)
@with_settings("task", "verify")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.option(
    "--search",
    metavar="WORDS",
    help="List the installed and the known tasks that have all these words, with what `rrr check` found of them."
    " No plugin is imported. Without a word (''), all of them.",
)
@click.option(
    "--index",
    metavar="FILE|URL",
    help="The index that --search reads, in place of the one that comes with rrr-core: a file, or an https address.",
)
@click.option(
    "--badge", metavar="FILE|URL", help="Show what a badge of `rrr check --badge` says, if its digest fits it."
)
def command(
    task: TaskSettings,
    verify: VerifySettings,
    as_json: bool,
    search: str | None,
    index: str | None,
    badge: str | None,
) -> None:
    """List the installed tasks and overlays, their distributions and hooks, and what is wrong with broken ones.

    With TASK, show that one: its manifest and package, and three rows with their prompts and the verdicts on the gold
    answer and an empty one. Whatever cannot be shown, such as rows that must be downloaded first, is listed at the end.
    --search and --badge look for tasks that may not be installed.
    """
    if index is not None and search is None:
        raise RrrError("tasks: --index is what --search reads: give --search WORDS.")
    if search is not None or badge is not None:
        if task.name or (search is not None and badge is not None):
            raise RrrError("tasks: --search and --badge stand alone, without TASK.")
        look(search, index, badge, as_json)
        return
    if task.name:
        show(task, verify, as_json)
        return
    if task.with_ or task.data:
        raise RrrError("tasks: --with and --data belong to one task: name it.")
    from rrr_core.tasks import describe_tasks, find_overlays, find_tasks

    tasks, overlays = describe_tasks(find_tasks()), describe_tasks(find_overlays())
    if as_json:
        listed = {"tasks": tasks, "overlays": overlays}
        click.echo(json.dumps({kind: [record(each) for each in found] for kind, found in listed.items()}, indent=2))
        return
    if not tasks:
        click.echo("no task is installed; for one, pip install rrr-countdown")
    tables = [
        "\n".join(table(headings, found))
        for headings, found in ((HEADINGS, tasks), (("overlay", *HEADINGS[1:]), overlays))
        if found
    ]
    click.echo("\n\n".join(tables), nl=bool(tables))


def look(search: str | None, index: str | None, badge: str | None, as_json: bool) -> None:
    """Show what a search found, or what a badge says. Exits with 1 if nothing was found."""
    from rrr_core.cli import task_search
    from rrr_core.index import SHIPPED, read_badge, read_index
    from rrr_core.index import search as search_for

    if badge is not None:
        given = read_badge(badge)
        if as_json:
            state = task_search.installed_state(given)
            click.echo(json.dumps({"badge": given.to_json(), "installed": state}, indent=2))
        else:
            click.echo("\n".join(task_search.badge_lines(given)))
        return
    from rrr_core.tasks import find_tasks

    known = read_index(index or SHIPPED)
    found = search_for(search or "", known, find_tasks())
    if as_json:
        click.echo(json.dumps([task_search.found_json(each) for each in found], indent=2))
    elif found:
        click.echo("\n".join(task_search.found_lines(found)))
    else:
        click.echo(f"no task has {one_line(search)!r}; rrr tasks --search '' lists all that are known")
    if not found:
        raise click.exceptions.Exit(1)


def show(settings: TaskSettings, verify: VerifySettings, as_json: bool) -> None:
    """Show one task."""
    from rrr_core import pipeline
    from rrr_core.cli.task_page import page
    from rrr_core.cli.task_view import as_json as view_as_json
    from rrr_core.cli.task_view import view_task

    # A plugin's prints must not mix with our output.
    with contextlib.redirect_stdout(sys.stderr):
        view = view_task(pipeline.open_task(settings), settings.data, verify)
    click.echo(json.dumps(view_as_json(view), indent=2) if as_json else "\n".join(page(view)))


def record(description: TaskDescription) -> dict[str, Any]:
    """One task or overlay of the list, as JSON-able values."""
    entry = description.entry
    return {
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "module": entry.value,
        "error": None if description.state == "ok" else description.state,
        "hooks": list(description.hooks),
    }


def table(headings: Sequence[str], descriptions: Sequence[TaskDescription]) -> list[str]:
    """Aligned lines: one per description, with a broken one's error on a line of its own below it."""
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
