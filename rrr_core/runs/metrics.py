"""The metrics of a training step: the one reader of a line of `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_core.records import COUNT, NUMBER, Record


def read_metrics(record: Any, place: str) -> Mapping[str, float | None]:
    """The numbers of a line, the step among them. Raises DataError naming `place`."""
    fields = Record(record, place, "a line of metrics")
    fields.get("step", COUNT)
    return {name: fields.get(name, NUMBER, None) for name in fields.values}
