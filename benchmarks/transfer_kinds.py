"""What transfers: worked reflections in a finished `rrr transfer` of tasks with lessons, and what they are worth.

A worked reflection is one that works something out, as those of the lessons do; the others are vague or only name the
slip. Counted over all rows that failed the first try, in each cell of the matrix.

    python benchmarks/transfer_kinds.py FOLDER [--mode sampled]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rrr_core.evaluation.controls import read_evaluated
from rrr_core.evaluation.statistics import wilson
from rrr_core.runs.files import read_json, read_numbered_lines
from rrr_core.runs.layout import VANILLA, RunFolder, trained_on

MARKS = ("=", "It asks to")
"""Words found only in worked reflections."""


@dataclass(frozen=True)
class Kinds:
    """One cell's reflections."""

    trained_on: str
    evaluated_on: str
    worked: int
    worked_passed: int
    """Of them, those whose retry passed."""
    other: int
    other_passed: int

    def describe(self) -> str:
        """The share of worked reflections, and both kinds' shares of passing retries, with 95% intervals."""
        total = self.worked + self.other
        return (
            f"{shown(self.worked, total)} worked of {total}; right after them {shown(self.worked_passed, self.worked)},"
            f" after the others {shown(self.other_passed, self.other)}"
        )


def shown(passed: int, total: int) -> str:
    """A share in per cent with its Wilson interval.

    >>> shown(40, 100)
    '40.0 [30.9, 49.8]'
    """
    if not total:
        return "–"
    share = wilson(passed, total)
    return f"{100 * share.value:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def is_worked(reflection: str) -> bool:
    return any(mark in reflection for mark in MARKS)


def reflected(run: RunFolder, label: str, mode: str) -> Iterator[tuple[str, bool]]:
    """The text of each reflection of an evaluation, and whether the retry after it passed."""
    for shard in run.evaluation(label).modes()[mode]:
        for number, record in read_numbered_lines(shard):
            for each in read_evaluated(record, f"{shard}:{number}").rounds[:1]:
                yield each.reflection.text, each.verdict is not None and each.verdict.is_passed


def kinds_of(folder: Path, mode: str) -> Iterator[Kinds]:
    """The reflections of each cell, those of the untrained model first. Needs a transfer of one seed."""
    matrix = read_json(RunFolder(folder).transfer)
    labels = {"nothing": VANILLA, **{name: trained_on(name, 0) for name in matrix["trained_on"]}}
    for name, label in labels.items():
        for task in matrix["evaluated_on"]:
            passed: dict[bool, list[bool]] = {True: [], False: []}
            for reflection, helped in reflected(RunFolder(folder).of_task(task), label, mode):
                passed[is_worked(reflection)].append(helped)
            worked, other = passed[True], passed[False]
            yield Kinds(name, task, len(worked), sum(worked), len(other), sum(other))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mode", default="sampled")
    options = parser.parse_args()
    for cell in kinds_of(options.folder, options.mode):
        print(f"{cell.trained_on} on {cell.evaluated_on}: {cell.describe()}")
