"""A task for inspect_ai that comes with the plugin: sums. It shows what the others do, and imports no part of rrr."""

from __future__ import annotations

import random

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import match
from inspect_ai.solver import generate


@task  # type: ignore[untyped-decorator]
def sums(largest: int = 9999) -> Task:
    """A thousand sums of two numbers, of which the reply must be the number alone."""
    samples = []
    for number in range(1000):
        drawn = random.Random(number)
        one, other = drawn.randint(1, largest), drawn.randint(1, largest)
        asked = f"How much is {one} + {other}? Reply with the number alone."
        samples.append(Sample(input=asked, target=str(one + other)))
    return Task(dataset=MemoryDataset(samples), solver=generate(), scorer=match(location="exact"))
