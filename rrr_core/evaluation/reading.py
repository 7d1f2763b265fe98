"""The readers of an evaluation's results: `figures.json` and `comparison.json`, checked as far as they are used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rrr_core.evaluation.figures import FIGURES
from rrr_core.evaluation.forgetting.reading import check_forgotten
from rrr_core.records import COUNT, LIST, NUMBER, OBJECT, TEXT, TEXTS, Record
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json

FIGURES_AGAIN = "delete it, and run the command that evaluated the model again: it is made again from the shards."


def read_figures(path: Path) -> Mapping[str, Any]:
    """What a `figures.json` holds. Raises DataError for one that is damaged, or was changed since it was written."""
    found = Record(read_json(path), f"{path}:1", "the figures of an evaluation")
    for name in ("label", "task"):
        found.get(name, TEXT, None if name == "task" else "")
    found.get("rows", COUNT, 0)
    found.get("notes", TEXTS, [])
    for mode, content in found.get("modes", OBJECT).items():
        figures = Record(content, found.place, f"the mode {mode!r}")
        for figure in FIGURES:
            if (share := figures.get(figure.key, OBJECT, None)) is not None:
                _check(Record(share, found.place, f"the figure {figure.key!r}"), *_INTERVAL, counts=("passed", "total"))
        for name, gain in figures.get("gains", OBJECT, {}).items():
            if gain is not None:
                _check(Record(gain, found.place, f"the gain {name!r}"), *_INTERVAL)
        for name in ("abstentions", "left_out"):
            counts = Record(figures.get(name, OBJECT, {}), found.place, f"the mode {mode!r}'s {name}")
            _check(counts, counts=tuple(counts.values))
        for number, content in enumerate(figures.get("rounds", LIST, []), 1):
            _check_round(Record(content, found.place, f"round {number} of the mode {mode!r}"), number)
        for name, content in figures.get("deciders", OBJECT, {}).items():
            _check_decider(Record(content, found.place, f"the decider {name!r}"))
        if (corrected := figures.get("corrected", OBJECT, None)) is not None:
            _check_corrected(Record(corrected, found.place, f"the mode {mode!r}'s corrected figures"))
    Digests(path.parent).check(path, FIGURES_AGAIN)
    return found.values


def _check_round(figures: Record, number: int) -> None:
    if figures.get("round", COUNT) != number:
        figures.refuse("round", f"{number}, since the rounds are in order")
    figures.get("set_aside", COUNT, 0)
    shares = {name: figures.get(name, OBJECT, None) for name in ("right", "entered", "right_of_entered", "repeats")}
    for name, share in {**shares, **figures.get("controls", OBJECT, {})}.items():
        if share is not None:
            _check(Record(share, figures.place, f"the figure {name!r}"), *_INTERVAL, counts=("passed", "total"))
    for name, gain in figures.get("gains", OBJECT, {}).items():
        if gain is not None:
            _check(Record(gain, figures.place, f"the gain {name!r}"), *_INTERVAL)


def _check_decider(figures: Record) -> None:
    figures.get("rows", COUNT)
    for name in ("undecided", "retried_right", "retried_wrong", "right_to_wrong", "wrong_to_right", "right"):
        share = figures.get(name, OBJECT, None) if name.startswith("retried") else figures.get(name, OBJECT)
        if share is not None:
            _check(Record(share, figures.place, f"{figures.what}'s {name}"), *_INTERVAL, counts=("passed", "total"))
    for name in ("gain", "lost"):
        _check(Record(figures.get(name, OBJECT), figures.place, f"{figures.what}'s {name}"), *_INTERVAL)
    if (tokens := figures.get("tokens", OBJECT, None)) is not None:
        _check(Record(tokens, figures.place, f"{figures.what}'s tokens"), "first_try", "deciding", "retrying", "total")


def _check_corrected(figures: Record) -> None:
    _check(figures, "known_false_pass", "known_false_fail")
    for kind in ("shares", "gains"):
        for name, corrected in figures.get(kind, OBJECT, {}).items():
            _check(Record(corrected, figures.place, f"the corrected figure {name!r}"), *_INTERVAL)


def read_comparison(path: Path) -> Mapping[str, Any]:
    """What a `comparison.json` holds. Raises DataError for a damaged one."""
    found = Record(read_json(path), f"{path}:1", "a comparison of evaluations")
    found.get("notes", TEXTS, [])
    for each in found.get("pairs", LIST):
        pair = Record(each, found.place, "a pair of models")
        for name in ("a", "b", "mode", "figure"):
            pair.get(name, TEXT)
        if (difference := pair.get("difference", OBJECT, None)) is not None:
            _check(Record(difference, found.place, "a difference"), *_INTERVAL)
    check_forgotten(found)
    Digests(path.parent).check(path, "compare again.")
    return found.values


_INTERVAL = ("value", "low", "high")


def _check(fields: Record, *numbers: str, counts: tuple[str, ...] = ()) -> None:
    for name in numbers:
        fields.get(name, NUMBER)
    for name in counts:
        fields.get(name, COUNT)
