"""The items that verifiers judge, split into batches for workers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_core.episode.calls import calls_to_json
from rrr_core.hookspecs import Call, Row

Pairs = Sequence[tuple[Row, str]]

LARGEST_BATCH = 256
"""Most items per batch. A larger batch saves nothing, and the items after a fault have to be sent again."""
SMALLEST_BATCH = 16
BATCH_CHARACTERS = 4_000_000
"""Most characters of answers, or of actions with their states, per batch.

So a worker's memory goes to the verifier and not to its batch.
"""


@dataclass
class Batch:
    """A worker's job: items `start` to `stop` of those to judge, numbered from `first` on the wire."""

    start: int
    stop: int
    first: int = 0
    done: int = 0

    @property
    def place(self) -> int:
        """The item being judged."""
        return self.start + self.done


def batches(
    pairs: Pairs,
    workers: int,
    largest: int = LARGEST_BATCH,
    states: Sequence[Any] = (),
    calls: Sequence[Sequence[Call]] = (),
) -> Iterator[Batch]:
    """The items split into batches: evenly if there are few items, and none with too much text.

    What belongs to an action, its state and its calls, counts as text.
    """
    most = min(largest, max(SMALLEST_BATCH, -(-len(pairs) // workers)))
    start = characters = 0
    for place, (_, answer) in enumerate(pairs):
        size = len(answer)
        if states and states[place] is not None:
            size += len(json.dumps(states[place]))
        if calls and calls[place]:
            size += len(json.dumps(calls_to_json(calls[place])))
        characters += size
        if place > start and (place - start == most or characters > BATCH_CHARACTERS):
            yield Batch(start, place)
            start, characters = place, size
    if start < len(pairs):
        yield Batch(start, len(pairs))
