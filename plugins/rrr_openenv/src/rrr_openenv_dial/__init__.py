"""An environment for OpenEnv that comes with the plugin: find the number of a lock. It shows what the others do."""

from __future__ import annotations

import random
from typing import Any

from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State
from pydantic import Field

LARGEST = 9


class DialAction(Action):  # type: ignore[misc]
    number: int = Field(..., description="the number to try")


class DialObservation(Observation):  # type: ignore[misc]
    hint: str = ""


class DialEnvironment(Environment[DialAction, DialObservation, State]):  # type: ignore[misc]
    """A lock has a number from 1 to 9. Each try says whether it is higher or lower; the reward is 1 when it opens."""

    def __init__(self) -> None:
        super().__init__()
        self._number, self._state = 1, State()

    def reset(self, seed: int | None = None, episode_id: str | None = None, **_more: Any) -> DialObservation:
        """A new lock."""
        self._number, self._state = random.Random(seed).randint(1, LARGEST), State(episode_id=episode_id)
        return DialObservation(hint=f"A number from 1 to {LARGEST} opens the lock of box {seed}.", reward=0.0)

    def step(self, action: DialAction, timeout_s: float | None = None, **_more: Any) -> DialObservation:
        """Try a number."""
        self._state.step_count += 1
        if action.number == self._number:
            return DialObservation(hint="It opens.", reward=1.0, done=True)
        return DialObservation(hint="higher" if action.number < self._number else "lower", reward=0.0)

    @property
    def state(self) -> State:
        """The lock's own count of tries."""
        return self._state
