"""Who decides to retry, as tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from rrr_core.cli.cells import difference, share
from rrr_core.text import one_line


def decider_tables(figures: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """One table per model and mode that deciders were asked in, with the oracle and always retrying beside them."""
    made = []
    for label, found in figures.items():
        for mode, modes in found["modes"].items():
            deciders = modes.get("deciders") or {}
            if not deciders:
                continue
            rows = next(iter(deciders.values()))["rows"]
            table = Table(
                title=f"who decides to retry: {one_line(label)}, {mode}, {rows} rows, %", title_justify="left"
            )
            table.add_column("")
            for heading in DECIDER_HEADINGS:
                table.add_column(heading, justify="right")
            for name, each in deciders.items():
                table.add_row(Text(one_line(name)), *decider_cells(each))
            made.append(table)
    return made


DECIDER_HEADINGS = (
    *("right, retried", "wrong, retried", "undecided", "right→wrong", "wrong→right"),
    *("right in the end", "gain, points", "lost to the oracle", "tokens a row"),
)


def decider_cells(decided: Mapping[str, Any]) -> list[str]:
    """A decider's figures, under `DECIDER_HEADINGS`: shares without intervals where there is no room for them."""

    def plain(name: str) -> str:
        return "-" if decided.get(name) is None else f"{100 * decided[name]['value']:.1f}"

    tokens = decided.get("tokens")
    return [
        *map(plain, ("retried_right", "retried_wrong", "undecided", "right_to_wrong", "wrong_to_right")),
        share(decided["right"]),
        difference(decided["gain"]),
        difference(decided["lost"]),
        "-" if tokens is None else f"{tokens['total']:.0f}",
    ]
