"""Writes `docs/commands.md` from the code: `python docs/make_commands.py`. A test says whether it is up to date."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import click

from rrr_core.cli import COMMANDS, app

PAGE = Path(__file__).with_name("commands.md")

HEAD = """\
# Commands

<!-- Made by `python docs/make_commands.py` from the code: change the code and not this page. -->

`rrr COMMAND --help` says the same in a terminal. A setting that stands under a `[section]` may also be given in a file,
in that section and with `_` for `-`: `--config run.toml`. The command line goes before the file, the file before the
task's own presets, and these before the defaults.

| exit code | means |
|---|---|
| 0 | done |
| 1 | done, and the answer is no: a verdict flipped, something is broken; or a fault of rrr's own, and its traceback |
| 2 | something that you can mend, told in one line on standard error |
| 130 | interrupted by Ctrl-C |

`rrr check` has codes of its own, which its section gives.
"""

SHARED = """\
## Shared options

These are the same in several commands, whose sections link here.
"""


class Group(NamedTuple):
    """Options that a command's help lists together."""

    title: str
    """`options`, or the section of the settings file that they are of."""
    options: tuple[tuple[str, str], ...]
    """Each as click writes it: its names with what it takes, and its help."""


def page() -> str:
    """The whole page: the head, a table of the commands, a section for each, and the options that several share."""
    root = click.Context(app, info_name="rrr", max_content_width=100)
    commands = {name: command for name in COMMANDS if (command := app.get_command(root, name)) is not None}
    used = Counter(group for command in commands.values() for group in groups(command, root))
    shared = [group for group, times in used.items() if times > 1 and len(group.options) > 1 and group.title]
    summary = ["| command | does |", "|---|---|"]
    summary += [f"| [`rrr {name}`](#rrr-{name}) | {cell(COMMANDS[name].help)} |" for name in commands]
    parts = [HEAD.rstrip(), "\n".join(summary)]
    parts += [section(name, command, root, shared) for name, command in commands.items()]
    parts += [SHARED.rstrip(), *(f"### {heading(group, shared)}\n\n{table(group)}" for group in shared)]
    return "\n\n".join(parts) + "\n"


def section(name: str, command: click.Command, root: click.Context, shared: list[Group]) -> str:
    """A command's heading, usage, help and options; shared ones as a link."""
    usage = " ".join(["rrr", name, *command.collect_usage_pieces(click.Context(command, info_name=name, parent=root))])
    parts = [f"## rrr {name}", f"```text\n{usage}\n```", prose(command.help or "")]
    links = []
    for group in groups(command, root):
        if group in shared:
            title = heading(group, shared)
            anchor = title.lower().replace(" ", "-").replace(",", "")
            links.append(f"[{title.removeprefix('Options of ')}](#{anchor})")
        else:
            parts.append((f"Of the section `[{group.title}]`:\n\n" if group.title else "") + table(group))
    if links:
        parts.append(f"It also takes the options of {', '.join(links)}.")
    return "\n\n".join(parts)


def groups(command: click.Command, root: click.Context) -> list[Group]:
    """A command's options as its help groups them; `--help` is left out."""
    context = click.Context(command, parent=root)
    found: dict[str, list[tuple[str, str]]] = {"": []}
    for parameter in command.params:
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            found.setdefault(getattr(parameter, "section", ""), []).append(record)
    return [Group(title, tuple(options)) for title, options in found.items() if options]


def heading(group: Group, shared: list[Group]) -> str:
    """A heading for options that several commands share, unlike those of the others."""
    prefix = {names.split("-")[2] for names, _ in group.options}
    twins = [other for other in shared if other.title == group.title]
    plain = f"Options of {group.title}"
    return plain if len(twins) == 1 or prefix != {group.title} else f"{plain}, prefixed"


def table(group: Group) -> str:
    """The options as a Markdown table."""
    rows = ["| option | does | default and limits |", "|---|---|---|"]
    for names, text in group.options:
        match = re.fullmatch(r"(.*?)\s*\[([^\[\]]*)\]\.?", " ".join(text.split()))
        does, limits = match.groups() if match else (" ".join(text.split()), "")
        pipes = names.replace("|", "\\|")
        rows.append(f"| `{pipes}` | {cell(does)} | {cell(limits.removeprefix('default: '))} |")
    return "\n".join(rows)


def prose(text: str) -> str:
    """A docstring as Markdown: what looks like markup escaped, the lines of a paragraph joined."""
    paragraphs = inspect.cleandoc(text).replace("\b\n", "").split("\n\n")
    return "\n\n".join(escaped(" ".join(paragraph.split())) for paragraph in paragraphs)


def cell(text: str) -> str:
    """A text that fits into a cell of a table."""
    return escaped(" ".join(text.split())).replace("|", "\\|")


def escaped(text: str) -> str:
    """`text` with what Markdown would take for markup escaped, outside of its code spans."""
    parts = text.split("`")
    return "`".join(
        re.sub(r"([\\*_<\[\]])", r"\\\1", part) if index % 2 == 0 else part for index, part in enumerate(parts)
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
