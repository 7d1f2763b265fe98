"""What the page shows of general benchmarks: each model's shares, and how two models differ on the same items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrr_core.evaluation.forgetting.benchmarks import BENCHMARKS
from rrr_core.evaluation.forgetting.reading import read_scores
from rrr_core.runs.layout import EvalFolder

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The benchmarks of a run."""

    titles: dict[str, str]
    """Benchmark → its title, in order."""
    scores: dict[str, dict[str, Json]]
    """Label → benchmark → the share that is right."""
    pairs: list[Json]
    """Paired differences between models, from comparison.json."""


def forgetting_of(
    evaluations: Sequence[EvalFolder],
    comparison: Json,
    read: Callable[[Path, Callable[[Path], Json]], Json | None],
) -> Forgetting | None:
    """The benchmarks of a run's evaluations; None if none was measured. `read` reads a file, or reports why not."""
    scores: dict[str, dict[str, Json]] = {}
    for evaluation in evaluations:
        if (found := read(evaluation.forgetting.scores, read_scores)) is not None:
            scores[str(found["label"])] = {key: each["right"] for key, each in found["benchmarks"].items()}
    keys = dict.fromkeys(key for each in scores.values() for key in each)
    pairs = (comparison.get("forgetting") or {}).get("pairs") or []
    titles = {key: BENCHMARKS[key].title if key in BENCHMARKS else key for key in keys}
    return Forgetting(titles, scores, list(pairs)) if scores else None
