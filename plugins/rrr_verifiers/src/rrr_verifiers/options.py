"""`--data` options: which task set, how it is configured, and what counts as its full score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rrr_core import DataOption
from rrr_core.errors import DataError

TURNS = "verifiers.turns"
"""The task whose task sets answer the model's turns; the other is answered at once."""
SAMPLE = "rrr_verifiers_sums"
SIZE = 1000
DECLARED = (
    DataOption("taskset", "a module that exports a task set, or the name of one within verifiers", default=SAMPLE),
    DataOption("config", "the task set's own options, as a JSON object", default="{}"),
    DataOption("size", "tasks taken from the task set, for both splits", "whole number", str(SIZE), (1, 1_000_000)),
    DataOption("full", "the full score, if it is not the sum of the rewards' weights", "number", bounds=(1e-9, 1e9)),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for."""

    taskset: str
    config: dict[str, Any]
    size: int
    full: float | None


def wanted(task: str, options: Mapping[str, str]) -> Wanted:
    """The user's options. Raises DataError for those that name nothing or are not JSON."""
    taskset = options.get("taskset", SAMPLE)
    if not taskset.strip():
        raise DataError(f"{task}: --data taskset= names no task set.")
    text = options.get("config", "{}")
    try:
        config = json.loads(text)
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise DataError(f'{task}: --data config={text[:100]}: a JSON object such as {{"seed": 1}} is expected.')
    if taskset == SAMPLE and task == TURNS:
        config = {"turns": 2, **config}
    full = options.get("full")
    return Wanted(taskset, config, int(options.get("size", SIZE)), None if full is None else float(full))
