"""`rrr report`: one self-contained page about run folders, or their tables."""

from __future__ import annotations

from pathlib import Path

import click

from rrr_core.cli.shared import RunFolderPath
from rrr_core.errors import RrrError
from rrr_core.runs.layout import RunFolder
from rrr_core.text import one_line

EVERY = 10.0
"""Seconds between two looks at a run."""


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=RunFolderPath(path_type=Path), metavar="RUN...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The file to write.  [default: RUN/report.html; of several runs, report.html here; .md or .csv by format]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "markdown", "csv"]),
    help="A page, its tables in Markdown, or every figure as a row of CSV.  [default: html]",
)
@click.option(
    "--watch", is_flag=True, help="Write the page again as the runs go on, until they are finished or you press Ctrl-C."
)
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    help=f"With --watch: seconds between two looks at the runs.  [default: {EVERY:g}]",
)
def command(runs: tuple[Path, ...], out: Path | None, form: str | None, watch: bool, every: float | None) -> None:
    """Write one self-contained page about run folders: figures, reflections before and after, curves and episodes."""
    from rrr_core.report import FORMATS, write_report

    def say(line: str) -> None:
        click.echo(f"rrr: {one_line(line)}", err=True)

    if watch and form not in (None, "html"):
        raise RrrError(f"report: --watch writes a page, and --format {form} asks for tables: leave out one of the two.")
    if every is not None and not watch:
        raise RrrError("report: --every belongs to --watch: add --watch, or leave it out.")
    name = f"report{FORMATS[form or 'html']}"
    page = out or (RunFolder(runs[0]).report.with_name(name) if len(runs) == 1 else Path(name))
    if watch:
        from rrr_core.report.live import watch as follow

        printed: list[str] = []

        def written() -> None:
            if not printed:
                printed.append(str(page))
                click.echo(printed[0])

        follow(runs, page, every or EVERY, say, written=written)
        return
    write_report(runs, page, say, form or "html")
    click.echo(str(page))
