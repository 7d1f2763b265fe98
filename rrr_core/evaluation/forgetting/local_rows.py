"""The benchmarks' rows in local files, of the same shape as on the hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, RrrError
from rrr_core.evaluation.forgetting.benchmarks import Benchmark, categories, subtask_of
from rrr_core.row_files import read_rows

Rows = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
"""lm-eval's task → split → rows. A task without rows to test is not there."""


def read_local(folder: Path, benchmark: Benchmark) -> Rows:
    """The rows of a benchmark in `folder`/its key: files of rows, or those of its repository on the hub.

    Raises RrrError for a missing folder, and DataError for a file or a row that cannot be used.
    """
    place = folder / benchmark.key
    if not place.is_dir():
        raise RrrError(
            f"--forgetting-data {folder}: there is no folder {benchmark.key!r} for {benchmark.title}: add it, or choose"
            " others with --forgetting-benchmarks."
        )
    parts = [place / part for part in benchmark.parts if (place / part).is_dir()] or [place]
    found: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for split in benchmark.splits:
        for part in parts:
            for where, row in read_rows(part, benchmark.shape, split):
                if (name := subtask_of(benchmark, row)) is None:
                    raise DataError(f"{where}: {benchmark.category!r} must be {categories(benchmark)}.")
                found.setdefault(name, {}).setdefault(split, []).append(row)
    tested = {name: found[name] for name in benchmark.subtasks if benchmark.test_split in found.get(name, {})}
    if not tested:
        raise DataError(f"{place}: the split {benchmark.test_split!r} has no rows.")
    for name, splits in tested.items():
        if benchmark.example_split and len(splits.get(benchmark.example_split, ())) < benchmark.shots:
            of = "" if benchmark.category is None else f" of {benchmark.subtasks[name]!r}"
            raise DataError(
                f"{place}: {benchmark.title} shows {benchmark.shots} examples before an item, and the split"
                f" {benchmark.example_split!r} has {len(splits.get(benchmark.example_split, ()))} rows{of}: add some."
            )
    return tested


def digest_of_rows(rows: Mapping[str, Rows]) -> str:
    """The SHA-256 of the rows of several benchmarks, which does not depend on the kind of their files."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
