"""A pool of Ray actors. The only module that knows Ray."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Sequence
from itertools import count
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
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._ray.shutdown()

    def _connect(self, address: str) -> None:
        """Join a cluster; for `auto` a new one on this machine, if there is none. A machine may be just starting it."""
        if address.startswith("ray://"):
            raise RrrError(
                f"--ray {address}: rrr has to run on a machine of the cluster: give HOST:PORT there, or auto."
            )
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        began = time.monotonic()
        while True:
            try:
                self._ray.init(address=address, **quiet)
                return
            except (ConnectionError, ValueError, RuntimeError) as error:
                if address == AUTO and "RAY_ADDRESS" not in os.environ:
                    self._ray.init(address="local", include_dashboard=False, **quiet)
                    return
                if time.monotonic() - began > JOINED_WITHIN:
                    raise RrrError(
                        f"--ray {address}: there is no Ray cluster ({one_line(error, 200)}). Start one with"
                        " `ray start --head`, and give the address that it prints."
                    ) from None
            time.sleep(1)

    def _event(self, call: Any) -> Event:
        actor = self._calls.pop(call)
        try:
            return Replied(actor, self._ray.get(call))
        except self._ray.exceptions.RayTaskError:
            raise  # the actor lives, and what it raised is a bug
        except self._ray.exceptions.RayError as error:
            self._ray.kill(self._actors.pop(actor))
            return Died(actor, _reason(error))


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
