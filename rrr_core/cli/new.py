"""`rrr new`: write the package of a new task, or bring one up to the installed core's template."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rrr_core.errors import RrrError
from rrr_core.scaffolding import (
    ANSWERS,
    LICENSES,
    Answers,
    check_folder,
    check_line,
    check_name,
    require_copier,
    update_plugin,
    write_plugin,
)


def checked(check: Callable[[str], None]) -> Any:
    """A type for click: a text that a check lets through, on the command line and at a question alike."""

    def convert(text: str) -> str:
        try:
            check(text)
        except RrrError as error:
            raise click.BadParameter(str(error)) from None
        return text

    return convert


LINE, NAME = checked(check_line), checked(check_name)


@click.command("new")
@click.argument("name", required=False)
@click.option("--summary", type=LINE, metavar="TEXT", help="What the task asks, in one line.")
@click.option("--author", type=LINE, metavar="TEXT", help="Who writes it; the default is git's user.name.")
@click.option("--license", type=click.Choice(LICENSES), help=f"The licence of the code and the rows [{LICENSES[0]}].")
@click.option(
    "--answer", type=click.Choice(ANSWERS), help=f"What an answer is, which chooses the verifier [{ANSWERS[0]}]."
)
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write it [rrr-NAME].")
@click.option("--yes", is_flag=True, help="Ask nothing: take the defaults for what is not given.")
@click.option("--update", is_flag=True, help="Bring the plugin in the folder NAME [.] up to this core's template.")
def command(
    name: str | None,
    summary: str | None,
    author: str | None,
    license: str | None,
    answer: str | None,
    folder: Path | None,
    yes: bool,
    update: bool,
) -> None:
    """Write a complete package for the task NAME: hooks, rows, verifier, tests, tox and CI. Its checks pass as it is.

    On a terminal it asks for what is not given. What to replace is marked TODO, with the page that explains it.

    With --update, NAME is the folder of a plugin that was written so. What has changed in the template since is merged
    into it; your own changes stay, and git shows what is new. Where both changed the same lines, they are marked.
    """
    if update:
        given = {"--summary": summary, "--author": author, "--license": license, "--answer": answer, "--folder": folder}
        wrong = next((option for option, value in given.items() if value is not None), None)
        if wrong:
            raise click.UsageError(f"--update takes no {wrong}: the plugin's answers are in its .copier-answers.yml.")
        update_in(Path(name or "."))
        return

    # What cannot be is told before anything is asked.
    require_copier()
    asks = not yes and is_terminal()
    if name is None:
        if not asks:
            raise click.UsageError("name the task: rrr new NAME.")
        name = str(click.prompt("The task's name", type=NAME))
    check_name(name)
    target = folder or Path(f"rrr-{name}")
    check_folder(target)
    answers = Answers(
        name=name,
        summary=ask(summary, "What the task asks, in one line", f"Questions of the kind {name!r}.", LINE, asks),
        author=ask(author, "Who writes it", git_user() or f"the authors of rrr-{name}", LINE, asks),
        license=ask(license, "Licence", LICENSES[0], click.Choice(LICENSES), asks),
        answer=ask(answer, "What an answer is", ANSWERS[0], click.Choice(ANSWERS), asks),
    )
    files = write_plugin(answers, target)
    click.echo(f"Wrote {target}: {files} files. What to replace is marked TODO, with the page that explains it. Next:")
    click.echo(f"  cd {shlex.quote(str(target))}\n  {program('pip')} install -e .\n  {program('rrr')} check {name}")


def ask(given: str | None, question: str, default: str, type: Any, asks: bool) -> str:
    """What was given on the command line, or else what the user answers, or the default where nobody is asked."""
    if given is not None:
        return given
    return str(click.prompt(question, default, type=type)) if asks else default


def is_terminal() -> bool:
    """Whether somebody is there to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def update_in(folder: Path) -> None:
    """Update the plugin in a folder and say what became of it."""
    done = update_plugin(folder)
    if done.before == done.after:
        click.echo(f"{folder} is at template {done.after}, the newest of this rrr-core.")
        return
    click.echo(f"{folder}: template {done.before} → {done.after}, {len(done.changed)} files changed. See git diff.")
    if done.conflicts:
        raise RrrError(
            f"you and the template changed the same lines of {', '.join(done.conflicts)}: choose at the marks <<<<<<<."
        )


def git_user() -> str | None:
    """The user's name as git knows it, or None."""
    if shutil.which("git") is None:
        return None
    done = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def program(name: str) -> str:
    """How to call a program of this Python: by its name alone where the shell finds that one, else by its path."""
    own = Path(sys.executable).parent / name
    found = shutil.which(name)
    if found and Path(found).parent.samefile(own.parent):
        return name
    return f"{shlex.quote(sys.executable)} -m pip" if name == "pip" else shlex.quote(str(own))
