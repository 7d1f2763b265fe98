"""`rrr report`: one self-contained page about run folders."""

from __future__ import annotations

from pathlib import Path

import click

from rrr_core.runs.layout import RunFolder
from rrr_core.text import one_line


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The page.  [default: RUN/report.html; of several runs, report.html here]",
)
def command(runs: tuple[Path, ...], out: Path | None) -> None:
    """Write one self-contained page about run folders: figures, curves, transitions and episodes."""
    from rrr_core.report import write_report

    page = out or (RunFolder(runs[0]).report if len(runs) == 1 else Path("report.html"))
    write_report(runs, page, lambda line: click.echo(f"rrr: {one_line(line)}", err=True))
    click.echo(str(page))
