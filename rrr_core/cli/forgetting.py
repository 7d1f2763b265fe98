"""`rrr eval --forgetting`: what it refuses, and its table on the terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from rrr_core.cli.cells import difference, models_across, share
from rrr_core.errors import RrrError
from rrr_core.evaluation.forgetting.benchmarks import BENCHMARKS
from rrr_core.processes.world import world_of
from rrr_core.text import one_line

if TYPE_CHECKING:
    from rrr_core.evaluation.forgetting.measuring import Benchmarks
    from rrr_core.evaluation.forgetting.settings import ForgettingSettings
    from rrr_core.generation import ModelSettings


def asked_for(switch: bool) -> bool:
    """Whether forgetting is measured. Raises RrrError for one of its options without `--forgetting`."""
    if not switch:
        given = click.get_current_context().params
        for name, value in given.items():
            if name.startswith("forgetting__") and value not in (None, ()):
                raise RrrError(f"--{name.replace('__', '-').replace('_', '-')} does nothing without --forgetting.")
    return switch


def benchmarks_of(settings: ForgettingSettings, model: ModelSettings, tasks: int) -> Benchmarks:
    """The benchmarks of a call. Raises RrrError for what could not be measured after hours of evaluation."""
    from rrr_core.evaluation.forgetting.measuring import Benchmarks, check_weights

    if tasks > 1:
        raise RrrError("--forgetting is of a model, whatever the task: name one task alone.")
    if world_of(os.environ).size > 1:
        raise RrrError("--forgetting works in one process: evaluate in several first, and then again with it in one.")
    check_weights(model)
    return Benchmarks(settings)


def forgetting_tables(comparison: Mapping[str, Any]) -> list[Table]:
    """A table of the benchmarks, models across, and the paired difference if there are two; none without figures."""
    found = comparison.get("forgetting")
    if not found:
        return []
    labels = list(found["scores"])
    pairs = {each["benchmark"]: each["difference"] for each in found["pairs"]}
    table = models_across("forgetting, % right (95% interval)", labels)
    for key in dict.fromkeys(key for scores in found["scores"].values() for key in scores):
        cells = [share(found["scores"][label].get(key)) for label in labels]
        if len(labels) == 2:
            cells.append(difference(pairs.get(key)))
        counts = {str(scores[key]["total"]) for scores in found["scores"].values() if key in scores}
        table.add_row(f"{_title(key)}, {'/'.join(sorted(counts))} items", *cells)
    return [table]


def _title(key: str) -> str:
    return BENCHMARKS[key].title if key in BENCHMARKS else one_line(key)
