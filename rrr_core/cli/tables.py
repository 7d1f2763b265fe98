"""Figures as a table on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rrr_core.cli.cells import difference, models_across, pair_of, share
from rrr_core.cli.decider_tables import decider_tables
from rrr_core.cli.forgetting import forgetting_tables
from rrr_core.cli.round_tables import round_line, round_tables
from rrr_core.config.limits import CUT_OFF_SHARE
from rrr_core.evaluation.figures import WAYS
from rrr_core.text import one_line


def tables(figures: Mapping[str, Mapping[str, Any]], pairs: Iterable[Mapping[str, Any]] = ()) -> list[Table]:
    """One table per mode: figures down, models across, and the paired difference if there are two models."""
    labels = list(figures)
    pairs = list(pairs)
    modes = list(dict.fromkeys(mode for figure in figures.values() for mode in figure["modes"]))
    made = []
    for mode in modes:
        rows = max((figure["rows"] for figure in figures.values()), default=0)
        table = models_across(f"{mode}, {rows} rows, % right (95% interval)", labels)
        for way in WAYS:
            cells = [share(figures[label]["modes"].get(mode, {}).get(way.key)) for label in labels]
            if len(labels) == 2:
                cells.append(difference(pair_of(pairs, labels, mode, way.key)))
            if any(cell != "-" for cell in cells):
                table.add_row(f"control: {way.short}" if way.control else way.short, *cells)
            corrected = [share(_corrected(figures[label], mode, way.key)) for label in labels]
            if any(cell != "-" for cell in corrected):
                table.add_row(f"  corrected: {way.short}", *corrected, *([""] if len(labels) == 2 else []))
        made.append(table)
    return made


def _corrected(figures: Mapping[str, Any], mode: str, way: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] = figures["modes"].get(mode, {}).get("corrected") or {}
    corrected: Mapping[str, Any] | None = found.get("shares", {}).get(way)
    return corrected


LIMITS = {
    "cut_off": "cut off by --max-tokens",
    "step_limit": "no answer within --max-steps",
    "context_full": "filled the model's context",
}
"""A limit in `figures.json` → what its line says."""


def _met(figures: Mapping[str, Any], limit: str) -> str:
    """The shares of texts or courses that met a limit, where they are worth a line: `reflection 12%`."""
    counted = (figures.get(limit) or {}).items()
    shares = {name: met / texts for name, (met, texts) in counted}
    return ", ".join(f"{name.replace('_', ' ')} {share:.0%}" for name, share in shares.items() if share > CUT_OFF_SHARE)


def _unanswered(figures: Mapping[str, Any]) -> str:
    """The texts without an answer in one mode: `2× content filter, 1× refusal`; empty if all have one."""
    kinds: Counter[str] = Counter()
    for counted in (figures.get("no_answers") or {}).values():
        kinds.update(counted)
    return ", ".join(f"{count}× {kind}" for kind, count in kinds.most_common())


def print_tables(made: Iterable[Table], console: Console | None = None) -> Console:
    """Print tables on stdout; gives what they were printed on."""
    console = console or Console()
    if not console.is_terminal:
        # Without a terminal there is no width to fit, and a truncated figure is useless in a log.
        console = Console(width=160, file=console.file)
    for table in made:
        console.print(table)
    return console


def print_comparison(comparison: Mapping[str, Any], console: Console | None = None) -> None:
    """Print `comparison.json` as tables on stdout, followed by its notes for the reader."""
    figures, pairs = comparison["figures"], comparison.get("pairs", ())
    made = [
        *tables(figures, pairs),
        *round_tables(figures, pairs),
        *decider_tables(figures),
        *forgetting_tables(comparison),
    ]
    console = print_tables(made, console)
    for label, figures in comparison["figures"].items():
        for mode, found in figures["modes"].items():
            if line := round_line(comparison["figures"], label, mode):
                console.print(Text(f"one round, %: {one_line(label)}, {mode}: {line}"))
            for limit, what in LIMITS.items():
                if shares := _met(found, limit):
                    console.print(Text(f"{what}: {one_line(label)}, {mode}: {one_line(shares)}"))
            if counted := _unanswered(found):
                console.print(
                    Text(f"no answer: {one_line(label)}, {mode}: {one_line(counted)}; such rows are set aside")
                )
    for note in comparison.get("notes", ()):
        console.print(Text(f"note: {one_line(note)}"))
