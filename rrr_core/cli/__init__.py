"""The command line, `rrr COMMAND`: each command reads settings, calls one room and prints the result."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from rrr_core import __version__
from rrr_core.cli import heap, processes
from rrr_core.cli.lazy import LazyCommand, LazyGroup
from rrr_core.errors import RrrError, nearest
from rrr_core.text import one_line

EXTRAS = {
    **dict.fromkeys(("torch", "transformers", "trl", "datasets", "peft", "accelerate", "safetensors", "gguf"), "train"),
    "httpx2": "server",
    "vllm": "vllm",
    "ray": "ray",
    "copier": "author",
}
"""Top-level module → the extra of rrr-core that installs it."""

USERS_TO_MEND = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENAMETOOLONG, errno.EFBIG})
"""Operating system errors that are not rrr's fault: a full disk, an unwritable folder."""

NO_MEMORY = ("not enough memory", "out of memory", "allocate memory", "failed to map segment", "start new thread")
"""Words of the errors, of any class, with which Python, torch and the system say that memory is lacking."""

QUIET = {"TQDM_DISABLE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
"""Environment variables that keep libraries from drawing bars across ours; downloads keep theirs."""

SHORT = {
    "lr": "learning-rate",
    "bs": "batch-size",
    "epochs": "steps",
    "max-steps": "steps",
    "num-generations": "group-size",
    "beta": "kl",
    "lr-scheduler-type": "scheduler",
    "output-dir": "folder",
    "out": "folder",
}
"""What other trainers call an option → ours, without dashes. In `rrr run` ours has a prefix."""

COMMANDS = {
    "demo": LazyCommand("rrr_core.cli.demo", "Watch a small model learn to reflect, in minutes and offline."),
    "run": LazyCommand("rrr_core.cli.run", "Mine, train, evaluate and report in one resumable run folder."),
    "plan": LazyCommand("rrr_core.cli.plan", "Estimate a run's tokens, hours, memory, disk and money; what fits."),
    "tasks": LazyCommand("rrr_core.cli.tasks", "List the installed tasks."),
    "probe": LazyCommand("rrr_core.cli.probe", "Forecast whether a model will learn on a task."),
    "mine": LazyCommand("rrr_core.cli.mine", "Collect failing attempts: the failure set."),
    "train": LazyCommand("rrr_core.cli.train", "Train reflections on a failure set with masked GRPO."),
    "eval": LazyCommand("rrr_core.cli.eval", "Measure first and second tries against controls."),
    "transfer": LazyCommand("rrr_core.cli.transfer", "Train on each of several tasks, and evaluate on all."),
    "report": LazyCommand("rrr_core.cli.report", "Write one self-contained page about run folders."),
    "warmup": LazyCommand("rrr_core.cli.warmup", "Train a model that lacks basic ability on worked conversations."),
    "verify": LazyCommand("rrr_core.cli.verify", "Judge answers from a file or standard input."),
    "check": LazyCommand("rrr_core.cli.check", "Check that a task keeps its promises."),
    "rejudge": LazyCommand("rrr_core.cli.rejudge", "Judge a saved run again and list the verdicts that flipped."),
    "new": LazyCommand("rrr_core.cli.new", "Create a complete, tested package for a new task."),
    "launch": LazyCommand("rrr_core.cli.launch", "Write the job that runs a command on several machines."),
    "docs": LazyCommand("rrr_core.cli.docs", "Show a documentation page, or a section of one."),
    "doctor": LazyCommand("rrr_core.cli.doctor", "Report what this machine has for rrr, and what is missing."),
}

RESUMED = frozenset({"demo", "run", "mine", "train", "eval", "transfer", "warmup"})
"""The commands that run a model and resume from what an earlier call finished."""


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
    """Run one command line and return the exit code: an error the user can fix is one line on stderr and 2."""
    try:
        # In this mode click returns the exit code if a command set one, else None.
        code = app.main(args=list(arguments), prog_name="rrr", standalone_mode=False, obj=tuple(arguments))
        processes.leave()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _refuse(_usage(error), arguments)
    except (click.Abort, KeyboardInterrupt):
        resumed = bool(arguments) and arguments[0] in RESUMED
        if not processes.is_watched():
            said = "interrupted: run the same command again to resume." if resumed else "interrupted."
            _refuse(said, arguments, may_wait=False)
        return 130
    except RrrError as error:
        return _refuse(str(error), arguments)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _refuse(f"this needs rrr-core[{extra}]: pip install 'rrr-core[{extra}]'", arguments)
    except BrokenPipeError:
        # The reader of our output is gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in USERS_TO_MEND and not any(words in str(error).lower() for words in NO_MEMORY):
            raise
        return _refuse(f"{error.filename or 'writing'}: {error.strerror}.", arguments)
    except (MemoryError, RuntimeError, ImportError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error).lower() for words in NO_MEMORY):
            raise
        return _refuse(
            f"not enough memory ({one_line(error, 200) or 'MemoryError'}): use smaller batches or a smaller model, or"
            " raise this process's limit (`ulimit -v`).",
            arguments,
        )
    return code or 0


def _refuse(message: str, arguments: Sequence[str], *, may_wait: bool = True) -> int:
    if processes.may_say_why(arguments, may_wait=may_wait):
        click.echo(f"rrr: {processes.who()}{one_line(message)}", err=True)
    return 2


def _usage(error: click.ClickException) -> str:
    """click's error as one line that names the command."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption):
        known = [name for option in context.command.params for name in option.opts] if context is not None else []
        meant = SHORT.get(error.option_name.strip("-"))
        alike = [name for name in known if meant and name.endswith(f"-{meant}")]
        suggested = f" Did you mean {' or '.join(map(repr, alike))}?" if alike else nearest(error.option_name, known)
        message = f"no option {error.option_name}.{suggested}"
    command = f"{context.command_path}: " if context is not None and context.parent is not None else ""
    return f"{command.removeprefix('rrr ')}{message}"


def main() -> None:
    """The entry point `rrr`."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if RESUMED.intersection(sys.argv[1:2]):
        heap.keep_freed_memory()
        heap.keep_fewer_products()
        heap.collect_garbage_less_often()
    try:
        processes.enter()
        if processes.has_nothing_to_do(sys.argv[1:]):
            return
    except RrrError as error:
        # Said at once: the others of a launch, if there are any, need not be met for this.
        click.echo(f"rrr: {one_line(str(error))}", err=True)
        sys.exit(2)
    try:
        sys.exit(run_command(sys.argv[1:]))
    except Exception:
        processes.await_the_agent()
        raise
