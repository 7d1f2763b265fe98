"""`rrr new`: create the package of a new task, or update one to the installed core's template."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from rrr_core.errors import RrrError
from rrr_core.rewards import SHAPES
from rrr_core.scaffolding import (
    ANSWERS,
    LICENSES,
    Answers,
    RewardPackage,
    check_folder,
    check_line,
    check_name,
    require_copier,
    reward_package,
    update_plugin,
    write_plugin,
)


def checked(check: Callable[[str], None]) -> Any:
    """A click type: a string that passes a check, on the command line as well as at a prompt."""

    def convert(text: str) -> str:
        try:
            check(text)
        except RrrError as error:
            raise click.BadParameter(str(error)) from None
        return text

    return convert


LINE, NAME = checked(check_line), checked(check_name)
COMMIT = 'git init && git add --all && git commit --message "As rrr new wrote it"'
"""`rrr new --update` needs the package committed, in any repository."""


@click.command("new")
@click.argument("name", required=False)
@click.option("--summary", type=LINE, metavar="TEXT", help="What the task asks, in one line.")
@click.option("--author", type=LINE, metavar="TEXT", help="The author; the default is git's user.name.")
@click.option("--license", type=click.Choice(LICENSES), help=f"The licence of the code and the rows [{LICENSES[0]}].")
@click.option(
    "--answer",
    type=click.Choice(list(ANSWERS)),
    help="What an answer is; this chooses the samples: "
    + "; ".join(f"{kind}, {meaning}" for kind, meaning in ANSWERS.items())
    + f" [{next(iter(ANSWERS))}].",
)
@click.option("--steps", is_flag=True, help="A task that acts in steps: the model looks things up before it answers.")
@click.option(
    "--from-reward",
    metavar="MODULE:FUNCTION",
    help="A reward function written for another trainer, which judges in place of the sample verifier.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="With --from-reward: its rows, a file (JSON lines, as TRL takes) or a folder with train.* and test.*.",
)
@click.option(
    "--shape",
    type=click.Choice(list(SHAPES)),
    help="With --from-reward: how the function is called, if its parameters do not show it: "
    + "; ".join(f"{shape.name} {shape.signature}" for shape in SHAPES.values())
    + ".",
)
@click.option("--threshold", type=float, help="With --from-reward: the least reward that passes [1].")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to create it [rrr-NAME].")
@click.option("--yes", is_flag=True, help="Ask nothing: use the defaults for what is not given, and list them.")
@click.option("--update", is_flag=True, help="Update the plugin in the folder NAME [.] to this core's template.")
def command(
    name: str | None,
    summary: str | None,
    author: str | None,
    license: str | None,
    answer: str | None,
    steps: bool,
    from_reward: str | None,
    data: Path | None,
    shape: str | None,
    threshold: float | None,
    folder: Path | None,
    yes: bool,
    update: bool,
) -> None:
    """Create a complete package for the task NAME: hooks, rows, verifier, tests, tox and CI. Its checks pass as is.

    On a terminal it asks for what is not given; without one, give everything, or --yes. Rows, prompt and verifier are
    samples. TODO.md in the package says in which order to replace them, and each place is marked TODO.

    With --from-reward and --data, rows and verifier are your own: your data, and a reward function that you wrote for
    TRL, verifiers or reasoning-gym. One from an installed distribution becomes a dependency; a file of yours is copied.

    With --update, NAME is the folder of a plugin that `rrr new` created. The template's changes since then are merged
    into it; your own changes stay, and git shows what is new. Lines that both changed are marked.
    """
    options = {"summary": summary, "author": author, "license": license, "answer": answer}
    given = {option: value for option, value in options.items() if value is not None}
    if update:
        flags = {"folder": folder is not None, "steps": steps, "from-reward": from_reward is not None}
        wrong = next((option for option, is_given in flags.items() if is_given), next(iter(given), None))
        if wrong:
            raise click.UsageError(f"--update takes no --{wrong}: the plugin's answers are in its .copier-answers.yml.")
        update_in(Path(name or "."))
        return

    check_reward_options({"data": data, "shape": shape, "threshold": threshold}, from_reward, answer, steps)
    # Report what cannot work before asking anything.
    require_copier()
    asks = not yes and is_terminal()
    if name is None:
        if not asks:
            raise click.UsageError("name the task: rrr new NAME.")
        name = str(click.prompt("The task's name", type=NAME))
    check_name(name)
    target = folder or Path(f"rrr-{name}")
    check_folder(target)
    package = None
    if from_reward is not None and data is not None:
        package = reward_package(from_reward, data, shape or "", 1.0 if threshold is None else threshold)
    defaults = {
        "summary": f"Questions of the kind {name!r}.",
        "author": author or git_user() or f"the authors of rrr-{name}",
        "license": LICENSES[0],
        **({} if package else {"answer": next(iter(ANSWERS))}),
    }
    missing = {option: default for option, default in defaults.items() if option not in given}
    if asks:
        missing = ask(missing)
    elif missing and not yes:
        raise click.UsageError(
            f"no terminal to ask for {', '.join(f'--{option}' for option in missing)}: give them, or --yes for "
            f"{'its default' if len(missing) == 1 else 'their defaults'}."
        )
    chosen = given | missing
    answers = Answers(
        name=name,
        summary=chosen["summary"],
        author=chosen["author"],
        license=chosen["license"],
        answer=chosen.get("answer", next(iter(ANSWERS))),
        steps=steps,
    )
    if package is None:
        click.echo(f"Wrote {target}: {write_plugin(answers, target)} files. They work as is, on sample rows.")
    else:
        write_reward_plugin(package, answers, target)
    if missing and not asks:
        click.echo(f"Defaults taken: {' '.join(f'--{option} {shlex.quote(missing[option])}' for option in missing)}")
    click.echo("Next:")
    for line in next_commands(name, target):
        click.echo(f"  {line}")
    click.echo("Then replace the samples: TODO.md says in which order." if package is None else "Then read TODO.md.")
    if shutil.which("git") and not is_in_repository(target):
        click.echo("Optional, for `rrr new --update` (git has to know your user.name and user.email):")
        click.echo(f"  {COMMIT}")


def check_reward_options(
    options: Mapping[str, object], from_reward: str | None, answer: str | None, steps: bool
) -> None:
    """Raise UsageError for an option that would do nothing with --from-reward, or without it."""
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if from_reward is None and given:
        raise click.UsageError(f"{given[0]} is for --from-reward MODULE:FUNCTION: give both, or neither.")
    if from_reward is not None and "--data" not in given:
        raise click.UsageError("--from-reward needs its rows: --data FILE.")
    if from_reward is not None and (answer or steps):
        raise click.UsageError(f"--from-reward takes no {'--steps' if steps else '--answer'}: the function decides.")


def write_reward_plugin(package: RewardPackage, answers: Answers, target: Path) -> None:
    """Write a package around a reward function, and print what was found."""
    files = write_plugin(package.answers(answers), target, files=package.files())
    click.echo(f"Wrote {target}: {files} files.")
    for line in package.said():
        click.echo(line)


def ask(defaults: Mapping[str, str]) -> dict[str, str]:
    """The user's answers for the options that were not given."""
    questions: dict[str, tuple[str, Any]] = {
        "summary": ("What the task asks, in one line", LINE),
        "author": ("Author", LINE),
        "license": ("Licence of the code and the rows", click.Choice(LICENSES)),
        "answer": ("What an answer is", click.Choice(list(ANSWERS))),
    }
    answers = {}
    for option, default in defaults.items():
        question, kind = questions[option]
        if option == "answer":
            click.echo("What an answer is chooses the sample rows and verifier:")
            for name, meaning in ANSWERS.items():
                click.echo(f"  {name:6}  {meaning}")
        answers[option] = str(click.prompt(question, default, type=kind))
    return answers


def next_commands(name: str, folder: Path) -> list[str]:
    """What to type once the package is created."""
    return [
        f"cd {shlex.quote(str(folder))}",
        f"{program('pip')} install -e .",
        f"{program('rrr')} check {name}",
    ]


def is_in_repository(folder: Path) -> bool:
    """Whether the folder is in a git repository."""
    return any((path / ".git").exists() for path in (folder.absolute(), *folder.absolute().parents))


def is_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def update_in(folder: Path) -> None:
    """Update the plugin in a folder and print the outcome."""
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
    """git's user.name, or None."""
    if shutil.which("git") is None:
        return None
    done = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def program(name: str) -> str:
    """How to call a program of this Python: by name if the shell finds it there, else by path."""
    own = Path(sys.executable).parent / name
    found = shutil.which(name)
    if found and Path(found).parent.samefile(own.parent):
        return name
    return f"{shlex.quote(sys.executable)} -m pip" if name == "pip" else shlex.quote(str(own))
