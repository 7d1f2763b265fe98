"""What was forgotten: two models on the same items, paired item by item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, RrrError
from rrr_core.evaluation.forgetting.benchmarks import BENCHMARKS
from rrr_core.evaluation.forgetting.harness import Item
from rrr_core.evaluation.forgetting.reading import MEASURE_AGAIN, read_items, read_scores
from rrr_core.evaluation.outcomes import paired
from rrr_core.runs.digests import Digests
from rrr_core.runs.layout import EvalFolder, ForgettingFolder


@dataclass(frozen=True, slots=True)
class _Measured:
    """One model on the benchmarks."""

    label: str
    folder: Path
    scores: Mapping[str, Any]
    items: Mapping[str, Sequence[tuple[str, Item]]]
    """Benchmark → its items, each with lm-eval's task."""


def forgotten(evaluations: Mapping[str, Path]) -> dict[str, Any] | None:
    """What the models of these evaluations (label → folder) answer, and how any two differ; None if none was measured.

    As in other comparisons the first of a pair is `a`, and differences are b - a. Raises RrrError for two that were
    asked other items, naming both folders, and DataError for a damaged file.
    """
    measured = [_read(label, files) for label, files in _folders(evaluations) if files.scores.exists()]
    if not measured:
        return None
    return {
        "scores": {
            each.label: {key: score["right"] for key, score in each.scores["benchmarks"].items()} for each in measured
        },
        "pairs": [pair for a, b in combinations(measured, 2) for pair in _pairs(a, b)],
    }


def _folders(evaluations: Mapping[str, Path]) -> Iterator[tuple[str, ForgettingFolder]]:
    for label, folder in evaluations.items():
        yield label, EvalFolder(folder).forgetting


def _read(label: str, files: ForgettingFolder) -> _Measured:
    scores, digests = read_scores(files.scores), Digests(files.path)
    items: dict[str, list[tuple[str, Item]]] = {}
    for key, score in scores["benchmarks"].items():
        items[key] = [(part, item) for part in score["parts"] for item in read_items(files.items(part), digests)]
        passed, share = sum(item.right for _, item in items[key]), score["right"]
        if (share["passed"], share["total"]) != (passed, len(items[key])):
            raise DataError(
                f"{files.scores}:1: {key} has {share['passed']} of {share['total']} right, and the files beside it"
                f" {passed} of {len(items[key])}: delete it, and {MEASURE_AGAIN}"
            )
    return _Measured(label, files.path, scores, items)


def _pairs(a: _Measured, b: _Measured) -> Iterator[dict[str, Any]]:
    for key in a.items:
        if key not in b.items:
            continue
        asked = [[(part, item.number, item.row, item.prompt) for part, item in each.items[key]] for each in (a, b)]
        if asked[0] != asked[1]:
            raise RrrError(
                f"{a.folder} and {b.folder} were asked other items of {_title(key)}, or with other examples: measure"
                " both with the same --forgetting options and version of lm-eval."
            )
        found = paired((item.right for _, item in a.items[key]), (item.right for _, item in b.items[key]))
        if found is not None:
            yield {"a": a.label, "b": b.label, "benchmark": key, "title": _title(key), "difference": asdict(found)}


def _title(key: str) -> str:
    return BENCHMARKS[key].title if key in BENCHMARKS else key
