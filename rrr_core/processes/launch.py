"""Starts a command in several processes on this machine and watches them, through torchrun's agent.

A process that is killed is started again, with all others: the command resumes from what is finished. One that ends
with an error has said why, and ends all.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rrr_core.errors import RrrError
from rrr_core.processes.world import AUTO, OURS

RESTARTS = 3
"""How often in a row processes are started again that were killed soon after they were started."""
SOON_SECONDS = 120.0
CLOSING_SECONDS = 10
"""How long processes have to end when one of them has."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a launch ended."""

    code: int
    """Its exit code; below 0 the signal that killed the process."""
    rank: int = 0


def count_of(text: str) -> int:
    """How many processes a `--processes` asks for; `auto` is one for each GPU of this machine, or one. Raises RrrError.

    >>> count_of("4")
    4
    """
    if text == AUTO:
        import torch

        return max(1, int(torch.accelerator.device_count()))
    if not text.isdecimal() or not int(text):
        raise RrrError(f"--processes {text}: give a number from 1, or {AUTO} for one on each GPU.")
    return int(text)


def launch(
    count: int,
    arguments: Sequence[str],
    say: Callable[[str], None],
    *,
    run: Callable[[int, Sequence[str]], Ended] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Run `rrr` with these arguments in `count` processes, and return its exit code.

    `say` gets a line when a process was killed. Raises KeyboardInterrupt when interrupted, once all have ended.
    """
    left = RESTARTS
    while True:
        began = clock()
        ended = (run or run_once)(count, arguments)
        if ended.code >= 0:
            return ended.code
        killed = f"process {ended.rank} of {count} was killed ({_name(-ended.code)})"
        if clock() - began > SOON_SECONDS:
            left = RESTARTS
        if not left:
            say(
                f"{killed} again, after {RESTARTS} new starts; too little memory is a common cause. What is finished is"
                " kept: run the same command again to resume."
            )
            return 2
        left -= 1
        say(f"{killed}: all are started again, and resume.")


def run_once(count: int, arguments: Sequence[str]) -> Ended:
    """Start the processes and wait for their end."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # the agent's own lines: what happened is said in ours
    os.environ.update(variables(count, os.environ))
    logs = tempfile.mkdtemp(prefix="rrr-launch-")
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="127.0.0.1",
        max_restarts=0,  # the agent restarts those that end with an error as well
        logs_specs=DefaultLogsSpecs(log_dir=logs),
        shutdown_timeout=CLOSING_SECONDS,
    )
    try:
        elastic_launch(config, sys.executable)("-P", "-m", "rrr_core", *arguments)
    except ChildFailedError as error:
        return first_to_end({rank: (each.timestamp, each.exitcode) for rank, each in error.failures.items()})
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(128 + error.sigval) from None
    finally:
        logging.disable(logged)
        shutil.rmtree(logs, ignore_errors=True)
    return Ended(0)


def first_to_end(failures: Mapping[int, tuple[int, int]]) -> Ended:
    """What a launch's failures, each process's time and exit code, come to.

    A process that said why decides, then one that was killed; what the others died of may be its death.

    >>> first_to_end({0: (7, 2), 1: (7, -9)}), first_to_end({0: (7, 1), 1: (8, -9)})
    (Ended(code=2, rank=0), Ended(code=-9, rank=1))
    """

    def order(rank: int) -> tuple[int, int, int]:
        at, code = failures[rank]
        kind = 0 if code == 2 else 3 if code == -signal.SIGTERM else 1 if code < 0 else 2
        return kind, at, rank

    rank = min(failures, key=order)
    return Ended(failures[rank][1], rank)


def variables(count: int, environment: Mapping[str, str]) -> dict[str, str]:
    """What the processes find in their environment: their share of the machine's cores, unless the user has said."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        OURS: str(os.getpid()),
        "OMP_NUM_THREADS": environment.get("OMP_NUM_THREADS") or str(max(1, cores // count)),
    }


def end_with_the_launcher() -> None:
    """Have this process killed when the one that watches it dies: nobody would be left to end it."""
    if sys.platform != "linux" or OURS not in os.environ:
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != int(os.environ[OURS]):
        os.kill(os.getpid(), signal.SIGKILL)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
