"""What the driver asks of a cluster: actors that start, take a text, give a text, and may die at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Replied:
    """An actor's answer to the call it was given."""

    actor: int
    text: str


@dataclass(frozen=True, slots=True)
class Died:
    """An actor that is gone, with the call it was given."""

    actor: int
    reason: str


Event = Replied | Died


class Pool(Protocol):
    """Actors of a cluster, each of them a `rrr_core.cluster.actor.ShardActor`. One call at a time runs in each."""

    def start(self) -> int:
        """Ask for one more actor. Returns its number; it may have to wait for room in the cluster."""
        ...

    def call(self, actor: int, method: str, *texts: str) -> None:
        """Call a method of an actor with texts; a `Replied` or a `Died` follows."""
        ...

    def wait(self, seconds: float) -> Sequence[Event]:
        """What happened, after at most so many seconds. Raises what an actor raised, other than by dying."""
        ...

    def room(self) -> str:
        """The cluster's machines and what they have, in words, for a message."""
        ...

    def close(self) -> None:
        """End all actors."""
        ...
