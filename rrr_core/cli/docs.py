"""`rrr docs`: the documentation in the terminal."""

from __future__ import annotations

import re
import sys

import click


@click.command("docs")
@click.argument("place", required=False, metavar="[PAGE[#HEADING]]")
def command(place: str | None) -> None:
    """Show a documentation page, or one section of it; without PAGE, list the pages.

    PAGE#HEADING may be copied from a message or a TODO, such as docs/checks.md#check_splits_load. On a terminal the
    page is formatted, otherwise it is Markdown.
    """
    from rrr_core.cli import pages

    if place is None:
        for name, path in pages.page_files().items():
            click.echo(f"{name:20}  {pages.title_of(path)}")
        return
    # Comments for the tests, which readers of the rendered Markdown do not see either.
    text = re.sub(r"^<!--.*?-->\n", "", pages.find(place), flags=re.MULTILINE | re.DOTALL)
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(width=min(Console().width, 100))
    console.print(Markdown(text, hyperlinks=False))
