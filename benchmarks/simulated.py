"""A zero-cost task and model, for benchmarks of everything around the model: rows, rounds, verdicts, files.

The task is a real plugin, just not installed. The model knows each row's accuracy and draws right and
wrong answers of random length; it is an ordinary engine, so the real `mine` runs on it.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

from rrr_core.episode import Generation
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.hookspecs import Message, Model, Row, hookimpl, trusted
from rrr_core.tasks import Task, TaskEntry
from rrr_core.tasks.hooks import checked_plugin
from rrr_core.verdicts import Verdict, failed, passed

RIGHT = "right"
TOKENS = 150
"""Median length of an attempt."""
SPREAD = 0.5
"""Standard deviation of the log length: a tenth are longer than 1.9 times the median."""
LONGEST = 512

Accuracy = Callable[[int], float]
"""Row number → the model's chance to get it right."""


@hookimpl
def rrr_load_dataset(options: Mapping[str, str]) -> Iterator[Row]:
    return ({"number": number} for number in range(int(options["rows"])))


@hookimpl
def rrr_prompt(row: Row) -> str:
    return f"Say number {row['number']}."


@hookimpl
@trusted
def rrr_verify(answer: str) -> Verdict:
    return passed() if answer == RIGHT else failed("wrong number")


def simulated_task() -> Task:
    """The task; its data option `rows` is its number of rows."""
    return Task(checked_plugin(TaskEntry("simulated", "rrr-benchmarks", "1.0", __name__), sys.modules[__name__]))


class SimulatedModel(Engine):
    """An engine that draws each answer's verdict and length, and counts every request."""

    model = Model("simulated")

    def __init__(self, accuracy: Accuracy) -> None:
        self.accuracy = accuracy
        self.samples = 0
        self.tokens = 0

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        chance = random.Random(sampling.seed)
        generations = []
        for conversation in conversations:
            number = int(conversation[0]["content"][len("Say number ") : -1])
            length = min(LONGEST, max(1, round(TOKENS * math.exp(chance.gauss(0, SPREAD)))))
            text = RIGHT if chance.random() < self.accuracy(number) else f"wrong {chance.getrandbits(32):08x}"
            generations.append(Generation(text, token_ids(length)))
            self.tokens += length
        self.samples += len(generations)
        if on_done:
            on_done(len(generations))
        return generations

    def describe(self) -> dict[str, object]:
        return {"model": self.model.name, "backend": "simulated"}


@cache
def token_ids(length: int) -> tuple[int, ...]:
    """Dummy ids of that length."""
    return (0,) * length


def equally_hard(accuracy: float) -> Accuracy:
    """The same accuracy for every row."""
    return lambda _number: accuracy


def unevenly_hard(accuracy: float, concentration: float, seed: int) -> Accuracy:
    """Accuracies from a Beta distribution of this mean; a low concentration puts most near 0 and 1."""

    @cache
    def drawn(number: int) -> float:
        chance = random.Random(f"{seed} {number}")
        return chance.betavariate(accuracy * concentration, (1 - accuracy) * concentration)

    return drawn
