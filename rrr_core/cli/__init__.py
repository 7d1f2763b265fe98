"""The command line: `rrr COMMAND`. Thin: each command reads settings, calls one room and prints what it gives."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from rrr_core import __version__
from rrr_core.cli import heap
from rrr_core.cli.lazy import LazyCommand, LazyGroup
from rrr_core.errors import RrrError, nearest
from rrr_core.text import one_line

EXTRAS = {
    **dict.fromkeys(("torch", "transformers", "trl", "datasets", "peft", "accelerate", "safetensors"), "train"),
    "openai": "server",
    "vllm": "vllm",
    "copier": "author",
}
"""Top-level module → the extra of rrr-core that brings it."""

USERS_TO_MEND = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENAMETOOLONG, errno.EFBIG})
"""Errors of the operating system that are no fault of rrr's: a full disk, an unwritable folder."""

QUIET = {"TQDM_DISABLE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
"""Environment in which libraries draw no bars across ours; downloads keep theirs."""

COMMANDS = {
    "demo": LazyCommand("rrr_core.cli.demo", "See a small model learn to reflect, in minutes and without a network."),
    "run": LazyCommand("rrr_core.cli.run", "Mine, train, evaluate and report in one resumable run folder."),
    "tasks": LazyCommand("rrr_core.cli.tasks", "List the installed tasks."),
    "mine": LazyCommand("rrr_core.cli.mine", "Collect failing attempts: the failure set."),
    "train": LazyCommand("rrr_core.cli.train", "Train reflections on a failure set with masked GRPO."),
    "eval": LazyCommand("rrr_core.cli.eval", "Measure first and second tries beside controls."),
    "report": LazyCommand("rrr_core.cli.report", "Write one self-contained page about run folders."),
    "warmup": LazyCommand("rrr_core.cli.warmup", "Teach a model that lacks basic ability from worked conversations."),
    "verify": LazyCommand("rrr_core.cli.verify", "Judge answers from a file or standard input."),
    "check": LazyCommand("rrr_core.cli.check", "Check that a task keeps what others rely on."),
    "rejudge": LazyCommand("rrr_core.cli.rejudge", "Judge a saved run again, and list the verdicts that flipped."),
    "new": LazyCommand("rrr_core.cli.new", "Write the package of a new task, complete and tested."),
    "docs": LazyCommand("rrr_core.cli.docs", "Show a page of the documentation, or a section of it."),
    "doctor": LazyCommand("rrr_core.cli.doctor", "Say what this machine has for rrr, and what it lacks."),
}

RESUMED = frozenset({"demo", "run", "mine", "train", "eval", "warmup"})
"""The commands that run a network, and go on from what an earlier call finished."""


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="rrr")
def app() -> None:
    """Tasks with binary verifiers, and the trainer that teaches a language model to reflect on its failures."""


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line; gives the exit code. What the user can mend is one line on stderr and 2."""
    try:
        # An exit code where a command ended with one of its own, which click gives in this mode; else None.
        code = app.main(args=list(arguments), prog_name="rrr", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _refuse(_usage(error))
    except (click.Abort, KeyboardInterrupt):
        resumed = bool(arguments) and arguments[0] in RESUMED
        _refuse("interrupted: the same command goes on from what is finished." if resumed else "interrupted.")
        return 130
    except RrrError as error:
        return _refuse(str(error))
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _refuse(f"this needs rrr-core[{extra}]: pip install 'rrr-core[{extra}]'")
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in USERS_TO_MEND:
            raise
        return _refuse(f"{error.filename or 'writing'}: {error.strerror}.")
    return code or 0


def _refuse(message: str) -> int:
    click.echo(f"rrr: {one_line(message)}", err=True)
    return 2


def _usage(error: click.ClickException) -> str:
    """Click's complaint as one line that names the command."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption):
        known = [name for option in context.command.params for name in option.opts] if context is not None else []
        message = f"no option {error.option_name}.{nearest(error.option_name, known)}"
    command = f"{context.command_path}: " if context is not None and context.parent is not None else ""
    return f"{command.removeprefix('rrr ')}{message}"


def main() -> None:
    """The entry point `rrr`."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if RESUMED.intersection(sys.argv[1:2]):
        heap.keep_freed_memory()
    sys.exit(run_command(sys.argv[1:]))
