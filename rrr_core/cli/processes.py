"""`--processes`, and what a command does as one of several processes: all work, one speaks."""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from rrr_core.errors import RrrError
from rrr_core.processes.world import AUTO, join, world_of

if TYPE_CHECKING:
    from rrr_core.processes.shards import Executor

AGENT_SECONDS = 1.0
"""How long a process that fails in an unforeseen way waits, so that what killed another comes to light first."""

SHARED = frozenset({"demo", "run", "mine", "train", "eval"})
"""The commands whose work the processes of a launch share."""
FOR_ONE = frozenset({"transfer", "warmup", "probe", "plan", "rejudge"})
"""The commands that run a model or write a folder in one process alone. All others the first process of a launch does,
since none of the processes needs the others for them."""


def processes_option(function: Callable[..., None]) -> Callable[..., None]:
    """`--processes`: the command in several processes on this machine."""

    @click.option(
        "--processes",
        metavar=f"N|{AUTO}",
        help="Work in so many processes on this machine; auto is one for each GPU. The results are the same. Under a"
        " launcher (torchrun, accelerate launch, srun, mpirun) the command joins without it.",
    )
    @functools.wraps(function)
    def command(processes: str | None, **given: Any) -> None:
        from rrr_core.processes.launch import count_of, launch

        world = world_of(os.environ)
        if processes is not None and world.size == 1 and (count := count_of(processes)) > 1:
            context = click.get_current_context()
            arguments = context.find_root().obj or sys.argv[1:]
            context.exit(launch(count, arguments, lambda line: click.echo(f"rrr: {line}", err=True)))
        if processes not in (None, AUTO) and count_of(processes or "") != world.size > 1:
            raise RrrError(
                f"--processes {processes}: {world.launcher} has started {world.size} of them already: leave the option"
                " out."
            )
        function(**given)

    return command


def enter() -> None:
    """Join the launch that started this process, if any: only the first process writes to standard output."""
    world = join(os.environ)
    if world.size > 1:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # each process would warn
    if world.watched:
        from rrr_core.processes.launch import end_with_the_launcher

        end_with_the_launcher()
        signal.signal(signal.SIGINT, _interrupted)
    if not world.leads:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end


def has_nothing_to_do(arguments: Sequence[str]) -> bool:
    """Whether this process leaves a command to the first one of its launch: each would do, or refuse, all of it.

    Raises RrrError in the first process for a command that takes a machine for itself.
    """
    world = world_of(os.environ)
    if world.size == 1 or SHARED.intersection(arguments[:1]):
        return False
    if not world.leads:
        return True
    if not FOR_ONE.intersection(arguments[:1]) or {"-h", "--help"}.intersection(arguments):
        return False
    raise RrrError(
        f"{arguments[0]} works in one process, and {world.launcher} has started {world.size}: start it without a"
        " launcher. If nothing started several, unset the launcher's variables, such as RANK and WORLD_SIZE."
    )


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Ctrl-C in a process that is watched: it ends as usual, and the one that watches says so for all."""
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    signal.default_int_handler(number, frame)


def executor() -> Executor:
    """Who works on shards here."""
    from rrr_core.processes.ranks import executor_of

    return executor_of(join(os.environ))


def leave() -> None:
    """End together with the other processes, if this one has met them."""
    if world_of(os.environ).size == 1:
        return
    from rrr_core.processes.ranks import MET

    if (met := MET.get(join(os.environ))) is not None:
        met.meeting.leave()
        from torch import distributed

        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()


def may_say_why(arguments: Sequence[str], *, may_wait: bool = True) -> bool:
    """Whether this process is to say why a command fails: of several that share its work, the first that does.

    It has to meet the others for that. Unless it `may_wait` for them, the leading one speaks where they have not met.
    """
    world = world_of(os.environ)
    if world.size == 1 or not SHARED.intersection(arguments[:1]):
        return True
    from rrr_core.processes.ranks import MET, Ranks

    if not may_wait and join(os.environ) not in MET:
        return world.leads
    try:
        found = executor()
    except (RrrError, ImportError):
        return world.leads
    return not isinstance(found, Ranks) or found.meeting.fail()


def who() -> str:
    """This process, before what it says; nothing for the first, or if it is alone."""
    world = world_of(os.environ)
    return "" if world.leads else f"process {world.rank}: "


def is_watched() -> bool:
    """Whether rrr started this process, and says itself that it was interrupted or killed."""
    return world_of(os.environ).watched


def await_the_agent() -> None:
    """Give the launcher time to end this process, if another one's death is what made it fail."""
    if is_watched():
        time.sleep(AGENT_SECONDS)
