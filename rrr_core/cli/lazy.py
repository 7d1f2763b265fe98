"""A click group that imports a command only when it is used, so `--help` is quick."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import NamedTuple

import click

from rrr_core.errors import nearest


class LazyCommand(NamedTuple):
    """A command's module, and its line in the list of commands."""

    module: str
    help: str


class LazyGroup(click.Group):
    """A group of `lazy` commands, by name. Each module has its command under the name `command`."""

    def __init__(self, *args: object, lazy: Mapping[str, LazyCommand], **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.lazy = lazy

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.lazy:
            return None
        command: click.Command = importlib.import_module(self.lazy[name].module).command
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.lazy and not args[0].startswith("-"):
            raise click.UsageError(
                f"no command {args[0]!r}.{nearest(args[0], self.lazy)} `rrr --help` lists them.", context
            )
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.lazy.items()])
