"""The table of README.md: per data set, puzzles tried, how many of their own answers pass, and the time per verdict.

`PYTHONHASHSEED=0 python tools/measure.py [DATA SET …]`; all data sets take a quarter of an hour.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

from rrr_reasoning_gym import gold, maker, options, upstream

from rrr_core.tasks import load_task
from rrr_core.verification import Judge, VerifySettings

MOST, SECONDS = 100, 5.0
"""Puzzles per data set, and the seconds after which no more are generated."""


def measured(dataset: str) -> str:
    """A row of the table."""
    data = options.configured(dataset, {})
    rows, start = [], time.perf_counter()
    while len(rows) < MOST and (not rows or time.perf_counter() - start < SECONDS):
        rows.append(maker.made(data, len(rows), {}))
    making = (time.perf_counter() - start) / len(rows)
    pairs = [(row, text) for row in rows if (text := gold.gold_text(dataset, row)) is not None]
    task = load_task(upstream.PREFIX + dataset)
    with Judge(task, max_abstain=1.0, settings=VerifySettings(workers=1)) as judge:
        judge.judge(pairs[:1])  # starts the worker
        start = time.perf_counter()
        verdicts = judge.judge(pairs)
        judging = (time.perf_counter() - start) / len(pairs)
    passing = sum(verdict.is_passed for verdict in verdicts)
    return f"| {dataset} | {len(rows)} | {passing} | {making * 1000:.1f} | {judging * 1000:.2f} |"


def main() -> None:
    sys.stdout.write(
        "| data set | puzzles | own answer passes | ms to make one | ms a verdict |\n|---|---|---|---|---|\n"
    )
    for dataset in sys.argv[1:] or upstream.datasets():
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            line = measured(dataset)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
