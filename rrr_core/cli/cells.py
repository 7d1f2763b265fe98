"""What tables of figures on the terminal share: their columns, and shares and differences as cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from rrr_core.text import one_line, percent, points


def share(figure: Mapping[str, Any] | None) -> str:
    """A proportion in percent with its 95% interval.

    >>> share({"value": 0.123, "low": 0.1, "high": 0.15})
    '12.3 (10.0-15.0)'
    """
    if not figure or figure.get("value") is None:
        return "-"
    return f"{percent(figure['value'])} ({percent(figure['low'])}-{percent(figure['high'])})"


def difference(figure: Mapping[str, Any] | None) -> str:
    """A difference of proportions in points with its 95% interval.

    >>> difference({"value": 0.05, "low": -0.01, "high": 0.11})
    '+5.0 (-1.0 to +11.0)'
    """
    if not figure or figure.get("value") is None:
        return "-"
    return f"{points(figure['value'])} ({points(figure['low'])} to {points(figure['high'])})"


def pair_of(
    pairs: Iterable[Mapping[str, Any]], labels: Sequence[str], mode: str, figure: str
) -> Mapping[str, Any] | None:
    """The paired difference of two models in one figure; None if they were not compared in it."""
    wanted = {"a": labels[0], "b": labels[1], "mode": mode, "figure": figure}
    for pair in pairs:
        if all(pair.get(key) == value for key, value in wanted.items()):
            found: Mapping[str, Any] = pair["difference"]
            return found
    return None


def models_across(title: str, labels: Sequence[str]) -> Table:
    """An empty table with a column for each model, and one for the difference of two."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for label in labels:
        table.add_column(Text(one_line(label)), justify="right")
    if len(labels) == 2:
        table.add_column("difference, points", justify="right")
    return table
