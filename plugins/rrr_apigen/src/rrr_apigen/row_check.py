"""Counts the rows that contradict themselves: `python -m rrr_apigen.row_check FILE [--list]`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from rrr_apigen.contradictions import REASONS, contradiction
from rrr_apigen.rows import OPTIONS, placed_rows
from rrr_apigen.types import parse
from rrr_core.errors import RrrError
from rrr_core.row_files import DataOptions, PlacedRow

UNUSABLE = 2
"""The exit code if rows cannot be read, as for every command-line error."""


@click.command()
@click.argument("source", metavar="FILE")
@click.option("--list", "is_listing", is_flag=True, help="List each of them: its place, the reason, and the detail.")
def main(source: str, is_listing: bool) -> None:
    """Count the rows of FILE (.jsonl, .json, .csv, .parquet; `hub` for the published ones) that contradict themselves.

    Exits with 0 if there are none, with 1 if there are some, and with 2 if the rows cannot be read.
    """
    counts: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    try:
        for place, reason in examined(placed_rows(DataOptions("apigen", {"source": source}, OPTIONS)), counts, unknown):
            if is_listing:
                click.echo(f"{place}: {reason}")
    except RrrError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(UNUSABLE) from error
    contradicting = counts.total() - counts["rows"]
    for line in table(counts, contradicting, unknown):
        click.echo(line)
    raise SystemExit(1 if contradicting else 0)


def examined(rows: Iterable[PlacedRow], counts: Counter[str], unknown: Counter[str]) -> Iterator[tuple[str, str]]:
    """Place and contradiction of each row that contradicts itself.

    Adds to `counts` by reason, and under `rows` for all; adds to `unknown` by the unknown words in types.
    """
    for place, row in rows:
        counts["rows"] += 1
        unknown.update(unknown_words(row))
        found = contradiction(row)
        if found is not None:
            counts[found.reason] += 1
            yield place, str(found)


def unknown_words(row: Mapping[str, Any]) -> Iterator[str]:
    """The unknown words in the types of a row's tools, which accept any value."""
    for tool in row["tools"]:
        for definition in tool["parameters"].values():
            yield from parse(definition["type"]).unknown


def table(counts: Counter[str], contradicting: int, unknown: Counter[str]) -> Iterator[str]:
    """The counts as text, one line each."""
    figures = {"rows": counts["rows"], "contradict themselves": contradicting}
    figures |= {f"  {reason}": counts[reason] for reason in REASONS if counts[reason]}
    figures["types not understood"] = unknown.total()
    figures |= {f"  {ascii(word)[:40]}": count for word, count in unknown.most_common(12)}
    width = max(map(len, figures))
    for name, figure in figures.items():
        yield f"{name:<{width}}  {figure:>9,}"


if __name__ == "__main__":
    main(prog_name="python -m rrr_apigen.row_check")
