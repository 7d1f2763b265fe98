"""The transfer matrix as tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from rrr_core.cli.cells import difference, share
from rrr_core.evaluation.controls import CONTROLS
from rrr_core.text import one_line


def transfer_tables(matrix: Mapping[str, Any]) -> list[Table]:
    """A table for each mode: rows are what was trained on, columns what was evaluated on; gains in points."""
    seeds = matrix["seeds"]
    over = f"over {seeds} seeds" if seeds > 1 else "over rows"
    made = []
    for mode, found in matrix["modes"].items():
        title = f"{mode}: gain of the second try over the untrained model, points (95% interval {over})"
        table = Table(title=title, title_justify="left")
        table.add_column("trained on")
        for task in matrix["evaluated_on"]:
            table.add_column(Text(one_line(f"on {task}")), justify="right")
        untrained = [found["untrained"][task] for task in matrix["evaluated_on"]]
        table.add_row("nothing, % right", *(share(each["second_try"]) for each in untrained))
        _add_controls(table, untrained)
        cells = {(each["trained_on"], each["evaluated_on"]): each for each in found["cells"]}
        for name in matrix["trained_on"]:
            row = [cells[name, task] for task in matrix["evaluated_on"]]
            table.add_section()
            table.add_row(Text(one_line(name)), *(_counted(each["gain"]) for each in row))
            _add_controls(table, row)
        made.append(table)
    return made


def _add_controls(table: Table, row: list[Mapping[str, Any]]) -> None:
    """A line for each control that was run: what the row's model gains over it by reflecting."""
    for control in CONTROLS:
        if any(control.gain in each["gains"] for each in row):
            table.add_row(f"  over {control.short}", *(difference(each["gains"].get(control.gain)) for each in row))


def _counted(gain: Mapping[str, Any] | None) -> str:
    return difference(gain) if gain is None else f"{difference(gain)}, n {gain['total']}"
