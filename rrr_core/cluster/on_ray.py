"""A pool of Ray actors. The only module that knows Ray."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from rrr_core.cluster.actor import ShardActor
from rrr_core.cluster.pool import Died, Event, Replied
from rrr_core.cluster.settings import ClusterSettings
from rrr_core.errors import RrrError
from rrr_core.text import one_line

AUTO = "auto"
JOINED_WITHIN = 60.0
"""Seconds that a cluster may take until it can be joined."""


class RayPool:
    """Ray actors, spread over the machines of a cluster, each with a GPU if the cluster has any.

    Without GPUs, an actor gets an equal share of its machine's cores. Raises RrrError if there is no such cluster.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        import ray

        self._ray = ray
        # Ray reports usage to its makers unless asked not to; nobody who uses rrr was asked.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._connect(settings.ray or AUTO)
        found = ray.cluster_resources()
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = int(found.get("GPU", 0))
        self.wanted = settings.ray_actors or gpus or len(machines)
        cores = 1 if gpus else _cores_for(self.wanted, [int(each.get("CPU", 0)) for each in machines])
        # Restarts and retries are the driver's, which counts them.
        self._kind = ray.remote(
            num_cpus=cores, num_gpus=1 if gpus else 0, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )(ShardActor)
        self._numbers = count()
        self._actors: dict[int, Any] = {}
        self._calls: dict[Any, int] = {}

    def start(self) -> int:
        number = next(self._numbers)
        self._actors[number] = self._kind.remote()
        return number

    def call(self, actor: int, method: str, *texts: str) -> None:
        self._calls[getattr(self._actors[actor], method).remote(*texts)] = actor

    def wait(self, seconds: float) -> Sequence[Event]:
        ready, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=seconds)
        return [self._event(each) for each in ready]

    def room(self) -> str:
        machines = [node for node in self._ray.nodes() if node["Alive"]]
        found, free = self._ray.cluster_resources(), self._ray.available_resources()
        counted = (f"{free.get(kind, 0):g} of {found[kind]:g} {kind} free" for kind in ("CPU", "GPU") if kind in found)
        return f"{len(machines)} machine{'' if len(machines) == 1 else 's'}, with {' and '.join(counted) or 'nothing'}"

    def close(self) -> None:
        self._ray.shutdown()  # which ends the actors of this process

    def _connect(self, given: str) -> None:
        """Join a cluster, which may be just starting; for `auto` start one on this machine, if there is none."""
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        address = _known() if given == AUTO else given
        # Ray itself waits for a cluster that is gone for minutes, also where it would start one if it knew of none.
        if address is None or (given == AUTO and not answers(address)):
            self._ray.init(address="local", include_dashboard=False, **quiet)
            return
        began = time.monotonic()
        while not answers(address):
            if time.monotonic() - began > JOINED_WITHIN:
                raise RrrError(
                    f"--ray {given}: nothing answers at {address}. Start a cluster with `ray start --head`, and"
                    " give the HOST:PORT that it prints, on a machine that belongs to it."
                )
            time.sleep(1)
        try:
            self._ray.init(address=address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RrrError(
                f"--ray {given}: the cluster cannot be joined ({one_line(error, 200)}). rrr has to run on a machine"
                " of the cluster, with its Ray and its Python; where `ray start` turned on its token by itself, export"
                " RAY_AUTH_MODE=token before it and here."
            ) from None

    def _event(self, call: Any) -> Event:
        actor = self._calls.pop(call)
        try:
            return Replied(actor, self._ray.get(call))
        except self._ray.exceptions.RayTaskError:
            raise  # the actor lives, and what it raised is a bug
        except self._ray.exceptions.RayError as error:
            with suppress(self._ray.exceptions.RayError):  # it may have died before it was there
                self._ray.kill(self._actors.pop(actor))
            return Died(actor, _reason(error))


def answers(address: str) -> bool:
    """Whether something listens at HOST:PORT. Raises RrrError for anything else than such an address."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise RrrError(f"--ray {address}: give HOST:PORT as `ray start --head` prints it, or {AUTO}.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def _known() -> str | None:
    """The cluster that RAY_ADDRESS names, or that was last started on this machine."""
    if named := os.environ.get("RAY_ADDRESS"):
        return None if named == "local" else named
    last = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "ray_current_cluster"
    return last.read_text(encoding="utf-8").strip() or None if last.is_file() else None


def _cores_for(actors: int, machines: Iterable[int]) -> int:
    """The most cores for each of so many actors, none of which spans two machines; at least 1.

    >>> _cores_for(4, [8, 8]), _cores_for(3, [8, 8]), _cores_for(2, [1, 7]), _cores_for(9, [2, 2])
    (4, 4, 3, 1)
    """
    cores = list(machines)
    return next(
        (share for share in range(max(cores, default=1), 1, -1) if sum(each // share for each in cores) >= actors), 1
    )


def _reason(error: BaseException) -> str:
    """Ray's reason, without its lines on the actor's identity and its general advice."""
    text = str(error)
    for beginning in ("The actor died because", "The actor is dead because"):
        if beginning in text:
            text = beginning + text.partition(beginning)[2]
    return one_line(text.partition("Some common causes")[0], 300)
