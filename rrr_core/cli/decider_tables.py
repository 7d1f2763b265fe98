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
            # Names may be long: they are folded, and figures never are.
            table.add_column("", overflow="fold")
            for heading in DECIDER_HEADINGS:
                table.add_column(heading, justify="right", no_wrap=True)
            for name, each in deciders.items():
                table.add_row(Text(one_line(name)), *decider_cells(each))
            made.append(table)
    return made


DECIDER_HEADINGS = (
    *("retried:\nright / wrong", "undecided", "right→wrong", "wrong→right"),
    *("right\nin the end", "gain,\npoints", "lost to\nthe oracle", "tokens\na row"),
)


def decider_cells(decided: Mapping[str, Any]) -> list[str]:
    """A decider's figures, under `DECIDER_HEADINGS`: shares without intervals where there is no room for them."""

    def plain(name: str) -> str:
        return "-" if decided.get(name) is None else f"{100 * decided[name]['value']:.1f}"

    tokens = decided.get("tokens")
    return [
        f"{plain('retried_right')} / {plain('retried_wrong')}",
        *map(plain, ("undecided", "right_to_wrong", "wrong_to_right")),
        share(decided["right"]),
        difference(decided["gain"]),
        difference(decided["lost"]),
        "-" if tokens is None else f"{tokens['total']:.0f}",
    ]
