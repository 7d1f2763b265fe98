"""Figures by round on the terminal: a table per mode, or a line where there was only one round."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from rrr_core.cli.cells import difference, models_across, pair_of, share
from rrr_core.evaluation.by_round import SHARES
from rrr_core.evaluation.controls import CONTROLS
from rrr_core.evaluation.outcomes import after_round

Figures = Mapping[str, Mapping[str, Any]]
"""Label → `figures.json`."""


def rounds_of(figures: Figures, label: str, mode: str) -> Sequence[Mapping[str, Any]]:
    """The figures of each round; none in those of an earlier version."""
    return figures[label]["modes"].get(mode, {}).get("rounds") or ()


def round_tables(figures: Figures, pairs: Iterable[Mapping[str, Any]] = ()) -> list[Table]:
    """For each mode that has several rounds, what happened in each; models across."""
    labels, pairs = list(figures), list(pairs)
    modes = dict.fromkeys(mode for each in figures.values() for mode in each["modes"])
    return [
        _table(figures, labels, mode, pairs)
        for mode in modes
        if any(len(rounds_of(figures, label, mode)) > 1 for label in labels)
    ]


def round_line(figures: Figures, label: str, mode: str) -> str:
    """The trigger rate and the repeats of a single round: `62.0 (59.9-64.1) of 2000 enter the round, …`."""
    rounds = rounds_of(figures, label, mode)
    if len(rounds) != 1:
        return ""
    shown = {name: _share_of(rounds[0].get(name)) for name in ("entered", "repeats")}
    return ", ".join(f"{cell} {SHARES[name]}" for name, cell in shown.items() if cell != "-")


def _table(figures: Figures, labels: Sequence[str], mode: str, pairs: Sequence[Mapping[str, Any]]) -> Table:
    table = models_across(f"{mode}, by round, % (95% interval) of how many", labels)
    most = max(len(rounds_of(figures, label, mode)) for label in labels)
    for number in range(1, most + 1):
        found = [dict(enumerate(rounds_of(figures, label, mode), 1)).get(number, {}) for label in labels]
        between = pair_of(pairs, labels, mode, after_round(number)) if len(labels) == 2 else None
        for title, cells in _rows(number, found):
            if any(cell != "-" for cell in cells):
                last = [difference(between) if title.endswith(SHARES["right"]) else ""] if len(labels) == 2 else []
                table.add_row(title, *cells, *last)
        table.add_section()
    return table


def _rows(number: int, found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """The titles and cells of one round, with a cell for each model."""
    for name, title in SHARES.items():
        yield f"round {number}: {title}", [_share_of(each.get(name)) for each in found]
    for control in CONTROLS:
        short, key = control.short_after(number), control.key
        yield f"  control: {short}", [_share_of((each.get("controls") or {}).get(key)) for each in found]
        yield f"  gain over {short}, points", [difference((each.get("gains") or {}).get(key)) for each in found]


def _share_of(figure: Mapping[str, Any] | None) -> str:
    cell = share(figure)
    return cell if figure is None or cell == "-" else f"{cell} of {figure['total']}"
