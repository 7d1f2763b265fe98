"""The transfer matrix: what training on each task does to the second try on every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rrr_core.evaluation.controls import CONTROLS
from rrr_core.evaluation.statistics import pooled_mean
from rrr_core.records import COUNT, LIST, NUMBER, OBJECT, TEXT, TEXTS, Record
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json

Comparison = Mapping[str, Any]
"""The content of a `comparison.json` that has the untrained model and every trained one."""


def transfer_matrix(
    comparisons: Mapping[str, Comparison], trained: Mapping[str, Sequence[str]], untrained: str
) -> dict[str, Any]:
    """The content of `transfer.json`.

    `comparisons` has that of each task, `trained` the labels of the models trained on each task or mixture, one a
    seed, and `untrained` is the label of the model that all trainings began from. Differences are from -1 to 1. With
    one seed, an interval is over rows; with several it is Student's, over seeds.
    """
    first = next(iter(comparisons.values()))
    modes = list(first["figures"][untrained]["modes"])
    return {
        "evaluated_on": list(comparisons),
        "trained_on": list(trained),
        "seeds": len(next(iter(trained.values()))),
        "modes": {
            mode: {
                "untrained": {task: _untrained(each, untrained, mode) for task, each in comparisons.items()},
                "cells": [
                    {"trained_on": name, "evaluated_on": task, **_cell(each, untrained, labels, mode)}
                    for name, labels in trained.items()
                    for task, each in comparisons.items()
                ],
            }
            for mode in modes
        },
    }


def _untrained(comparison: Comparison, label: str, mode: str) -> dict[str, Any]:
    return {"second_try": _figures(comparison, label, mode)["second_try"], "gains": _gains(comparison, [label], mode)}


def _cell(comparison: Comparison, untrained: str, labels: Sequence[str], mode: str) -> dict[str, Any]:
    """The gain of the second try over the untrained model, and over each control of the trained model's own."""
    gains = [
        pair["difference"]
        for label in labels
        for pair in comparison["pairs"]
        if (pair["a"], pair["b"], pair["mode"], pair["figure"]) == (untrained, label, mode, "second_try")
    ]
    shares = [_figures(comparison, label, mode)["second_try"] for label in labels]
    return {
        "labels": list(labels),
        "second_try": None if None in shares else sum(share["value"] for share in shares) / len(shares),
        "gain": _pooled(gains),
        "gains": _gains(comparison, labels, mode),
    }


def _gains(comparison: Comparison, labels: Sequence[str], mode: str) -> dict[str, Any]:
    """The second try minus each control, as `figures.json` names it; those that were not run are left out."""
    found = {
        control.gain: _pooled([_figures(comparison, label, mode)["gains"].get(control.gain) for label in labels])
        for control in CONTROLS
    }
    return {key: gain for key, gain in found.items() if gain is not None}


def _figures(comparison: Comparison, label: str, mode: str) -> Mapping[str, Any]:
    figures: Mapping[str, Any] = comparison["figures"][label]["modes"][mode]
    return figures


def _pooled(differences: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """A difference over rows, or the mean of several seeds' with Student's interval; None if one is missing."""
    known = [each for each in differences if each is not None]
    if not known or len(known) < len(differences):
        return None
    if len(known) == 1:
        return {name: known[0][name] for name in ("value", "low", "high", "p", "total")}
    mean = asdict(pooled_mean([each["value"] for each in known]))
    return {**{name: mean[name] for name in ("value", "low", "high")}, "total": min(each["total"] for each in known)}


def read_transfer(path: Path) -> Mapping[str, Any]:
    """What a `transfer.json` holds. Raises DataError for one that is damaged, or was changed since it was written."""
    found = Record(read_json(path), f"{path}:1", "a transfer matrix")
    for name in ("evaluated_on", "trained_on"):
        found.get(name, TEXTS)
    found.get("seeds", COUNT)
    for mode, content in found.get("modes", OBJECT).items():
        figures = Record(content, found.place, f"the mode {mode!r}")
        for task, each in figures.get("untrained", OBJECT).items():
            _check_gains(Record(each, found.place, f"the untrained model on {task!r}"))
        for each in figures.get("cells", LIST):
            cell = Record(each, found.place, "a cell")
            for name in ("trained_on", "evaluated_on"):
                cell.get(name, TEXT)
            _check_gains(cell)
    Digests(path.parent).check(path, "run the command that made it again.")
    return found.values


def _check_gains(cell: Record) -> None:
    gain = cell.get("gain", OBJECT, None)
    for each in ([] if gain is None else [gain]) + list(cell.get("gains", OBJECT).values()):
        interval = Record(each, cell.place, "a gain")
        for name in ("value", "low", "high"):
            interval.get(name, NUMBER)
        interval.get("total", COUNT)
