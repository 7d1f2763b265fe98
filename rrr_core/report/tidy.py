"""The figures of runs as records of one shape: one row for each number, with its interval where it has one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rrr_core.report.payload import Run
from rrr_core.report.words import words

COLUMNS = ("run", "mode", "model", "figure", "value", "low", "high", "passed", "total", "p")
"""The columns of a record. Shares and differences are between -1 and 1; `passed` and `total` are rows."""


def tidy(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """A record for each figure of some runs: every share, gain over a control, round, kind of reflection and
    difference between models.

    `model` is a label, or `B - A` for the difference of two.
    """
    return [
        {name: {"run": run.name, **record}.get(name) for name in COLUMNS} for run in runs for record in _records(run)
    ]


def _records(run: Run) -> Iterator[dict[str, Any]]:
    names = words()
    for label, figures in run.figures.items():
        for mode, of in figures["modes"].items():
            at = {"mode": mode, "model": label}
            for key in names.figures:
                yield from _record(at, key, of.get(key))
            for key in names.gains:
                yield from _record(at, key, (of.get("gains") or {}).get(key))
            for number, each in enumerate(of.get("rounds") or (), 1):
                for key in names.rounds:
                    yield from _record(at, f"round_{number}_{key}", each.get(key))
            for key in ("mean", "median", "p10", "p90"):
                if (lengths := of.get("reflection_tokens")) is not None:
                    yield {**at, "figure": f"reflection_tokens_{key}", "value": lengths[key], "total": lengths["count"]}
    for mode, anatomies in run.anatomy.items():
        for label, anatomy in anatomies.items():
            at = {"mode": mode, "model": label}
            for kind, found in anatomy.kinds.items():
                yield from _record(at, f"reflections_{kind}", asdict(found.share))
                yield from _record(at, f"retries_after_{kind}", None if found.right is None else asdict(found.right))
            yield from _record(at, "reflections_that_leak", asdict(anatomy.leaks))
    for pair in run.pairs:
        at = {"mode": pair["mode"], "model": f"{pair['b']} - {pair['a']}"}
        yield from _record(at, pair["figure"], pair.get("difference"))
    if run.convergence is not None:
        end = run.convergence if run.convergence.is_level else None
        yield {"figure": "steps_to_convergence", "value": end and end.step}
        yield {"figure": "samples_to_convergence", "value": end and end.samples}


def _record(at: Mapping[str, Any], figure: str, found: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    if found is not None:
        yield {**at, "figure": figure, **{key: found.get(key) for key in COLUMNS[4:]}}
