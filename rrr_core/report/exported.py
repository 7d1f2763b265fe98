"""The tables of a report as Markdown and as CSV.

Names come from files that others wrote: in Markdown they cannot open markup, in CSV they cannot be a formula.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rrr_core.evaluation.anatomy import KindFigures
from rrr_core.report.evidence import points
from rrr_core.report.payload import Run
from rrr_core.report.tidy import COLUMNS, tidy
from rrr_core.report.words import words
from rrr_core.text import one_line, percent

STATES = {"holds": "✓", "fails": "✕", "unknown": "?"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def as_csv(runs: Sequence[Run]) -> str:
    """The records of `tidy` as CSV, with a line of headings; numbers are not rounded."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in tidy(runs):
        writer.writerow([_csv_cell(record[name]) for name in COLUMNS])
    return file.getvalue()


def as_markdown(runs: Sequence[Run]) -> str:
    """Headline, checks and tables of each run, with the page's titles and rounding."""
    return "\n".join(line for run in runs for line in _lines(run)).rstrip() + "\n"


def _lines(run: Run) -> list[str]:
    lines = [f"# {_cell(run.name)}", "", _cell(run.evidence.headline), ""]
    lines += [f"- {STATES[each.state]} {_cell(each.title)}. {_cell(each.finding)}" for each in run.evidence.checks]
    lines += [""]
    for title, (head, rows) in _tables(run).items():
        if rows:
            lines += [f"## {title}", "", *_table(head, rows), ""]
    if (found := run.convergence) is not None and found.is_level:
        drawn = "" if found.samples is None else f", {found.samples:,} reflections"
        lines += [f"Samples to convergence: step {found.step:g} of {found.steps:g}{drawn}.", ""]
    return lines


def _tables(run: Run) -> dict[str, Table]:
    names, labels = words(), list(run.figures)
    modes = list(dict.fromkeys(mode for each in run.figures.values() for mode in each["modes"]))
    of = {(label, mode): run.figures[label]["modes"].get(mode, {}) for label in labels for mode in modes}
    tables: dict[str, Table] = {}
    for mode in modes:
        shares = {title: [of[label, mode].get(key) for label in labels] for key, title in names.figures.items()}
        tables[f"Percent right, {mode}"] = ["", *labels], _rows(shares, _share)
        gains = {
            title: [(of[label, mode].get("gains") or {}).get(key) for label in labels]
            for key, title in names.gains.items()
        }
        tables[f"Own reflection, points, {mode}"] = ["", *labels], _rows(gains, _difference)
        anatomy = run.anatomy.get(mode, {})
        kinds = {
            title: [anatomy[label].kinds.get(key) for label in anatomy] for key, (title, *_) in names.kinds.items()
        }
        tables[f"Kinds of reflection, {mode}: share; retries right"] = ["", *anatomy], _rows(kinds, _kind)
    differences = [
        [f"{each['b']} − {each['a']}", each["mode"], each["figure"], _difference(each.get("difference"))]
        for each in run.pairs
        if each.get("difference")
    ]
    tables["Between models, points"] = ("", "mode", "figure", "difference"), differences
    return tables


def _rows(found: Mapping[str, Sequence[Any]], cell: Callable[[Any], str]) -> list[list[str]]:
    return [[title, *map(cell, values)] for title, values in found.items() if any(each is not None for each in values)]


def _share(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    return f"{percent(found['value'])} ({percent(found['low'])}–{percent(found['high'])}), n {found['total']:,}"


def _difference(found: Mapping[str, Any] | None) -> str:
    return "–" if found is None else f"{points(found['value'])} ({points(found['low'])} to {points(found['high'])})"


def _kind(found: KindFigures | None) -> str:
    if found is None:
        return "–"
    right = found.right
    after = "–" if right is None else f"{percent(right.value)} ({percent(right.low)}–{percent(right.high)})"
    return f"{percent(found.share.value)}, n {found.share.passed:,}; {after}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(map(_cell, head))} |",
        f"|{'|'.join(['---', *['---:'] * (len(head) - 1)])}|",
        *(f"| {' | '.join(map(_cell, row))} |" for row in rows),
    ]


def _cell(text: str) -> str:
    """A text that is one line, and no markup, in Markdown.

    >>> print(_cell("a|b <b>\\n[x](y) *z*"))
    a\\|b &lt;b> \\[x](y) \\*z\\*
    """
    return re.sub(r"([\\`*\[|])", r"\\\1", one_line(text)).replace("&", "&amp;").replace("<", "&lt;")


def _csv_cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula.

    >>> _csv_cell("=1+1"), _csv_cell(-0.5), _csv_cell(None)
    ("'=1+1", -0.5, '')
    """
    if not isinstance(value, str):
        return "" if value is None else value
    text = one_line(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
