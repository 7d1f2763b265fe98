"""A pool in this process, of real actors: calls end in random order, and actors die where a test says."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rrr_core.cluster.actor import ShardActor
from rrr_core.cluster.pool import Died, Event, Replied

Dies = Callable[[int, str, Sequence[str]], bool]
"""Whether an actor dies at a call: of its number, the method and the texts."""


def never(actor: int, method: str, texts: Sequence[str]) -> bool:
    return False


@dataclass
class FakePool:
    """See `Pool`. At most `room` actors are there at a time; the others wait until one dies."""

    make_actor: Callable[[], ShardActor]
    dies: Dies = never
    room_for: int = 100
    delayed: Callable[[Sequence[str]], bool] = lambda texts: False
    """Whether a call ends only when no other can."""
    seed: int = 0
    actors: dict[int, ShardActor] = field(default_factory=dict)
    asked: list[tuple[int, str, tuple[str, ...]]] = field(default_factory=list)
    """Calls without an answer yet."""
    made: list[str] = field(default_factory=list)
    """The jobs that were worked on, as they were sent."""
    started: int = 0
    is_closed: bool = False

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def start(self) -> int:
        self.actors[self.started] = self.make_actor()
        self.started += 1
        return self.started - 1

    def call(self, actor: int, method: str, *texts: str) -> None:
        assert all(text.isascii() for text in texts)
        assert actor not in {other for other, _, _ in self.asked}, "an actor has one call at a time"
        self.asked.append((actor, method, texts))

    def wait(self, seconds: float) -> Sequence[Event]:
        placed = sorted(self.actors)[: self.room_for]
        able = [call for call in self.asked if call[0] in placed]
        if not able:
            return []
        quick = [call for call in able if not self.delayed(call[2])]
        actor, method, texts = call = self.chance.choice(quick or able)
        self.asked.remove(call)
        if self.dies(actor, method, texts):
            del self.actors[actor]
            return [Died(actor, "The actor died because its process ended.")]
        if method == "make":
            self.made.append(texts[1])
        reply = getattr(self.actors[actor], method)(*texts)
        assert reply.isascii()
        return [Replied(actor, reply)]

    def room(self) -> str:
        return f"room for {self.room_for}"

    def close(self) -> None:
        self.is_closed = True
