"""`rrr demo` of this working tree against that of an earlier revision: seconds and gain of both.

    python benchmarks/demo_time.py [--revision f2bbcd7] [--task countdown] [--repeats 1] [-- OPTIONS OF rrr demo]

Both run on this machine, one after the other, each in a new folder, with the core and plugins of its own revision.
The gain is in second tries, trained minus untrained model, on the rows that the demo evaluates. A run is a
sample of one seed: two gains count as the same if their intervals overlap.

A revision from before rrr supported transformers 5.24 must be run with an earlier one (`pip install
'transformers<5.24'`): with 5.24 it falls back to the slow `generate`, and anything looks fast in comparison.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from packaging.version import Version
from recording import ROOT, Figure, folder_option, median_of, record

from rrr_core.runs.files import read_json

BEFORE, NOW = "before", "now"
MODES = ("greedy", "sampled")


@dataclass(frozen=True)
class Demo:
    """One run of `rrr demo`."""

    seconds: float
    gains: Mapping[str, Figure]
    """Mode → the gain in percentage points, with its interval."""


def check_out(revision: str, folder: Path) -> None:
    """Write a revision's files to `folder`; the repository and its working tree are not touched."""
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        files.extractall(folder, filter="data")


def why_unfair(tree: Path, transformers: str) -> str | None:
    """Why the sources in `tree` would be slowed down by that version of transformers; None if they are not.

    >>> why_unfair(Path("anywhere"), "5.23.0")
    """
    # The file has had two names.
    caches = [
        path for name in ("kv_cache.py", "cache.py") if (path := tree / "rrr_core" / "generation" / name).exists()
    ]
    if Version(transformers) < Version("5.24") or any("CACHE_ARGUMENTS" in path.read_text() for path in caches):
        return None
    return (
        f"With transformers {transformers} that revision falls back to slower generation:"
        " pip install 'transformers<5.24' in an environment for this benchmark."
    )


def run_demo(tree: Path, task: str, options: Sequence[str], folder: Path) -> Demo:
    """Run the demo of the sources in `tree`."""
    sources = [tree, *sorted(tree.glob("plugins/*/src"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources))}
    command = [sys.executable, "-c", "from rrr_core.cli import main; main()", "demo", task, "--folder", str(folder)]
    began = time.perf_counter()
    subprocess.run([*command, *options], env=environment, cwd=folder.parent, stdout=sys.stderr, check=True)
    return Demo(time.perf_counter() - began, gains_of(read_json(folder / "eval" / "comparison.json")))


def gains_of(comparison: Mapping[str, Any]) -> dict[str, Figure]:
    """Mode → the second try's gain, from `comparison.json`."""
    gains = {}
    for pair in comparison["pairs"]:
        if pair["figure"] == "second_try" and pair["difference"] is not None:
            value, low, high = (100 * pair["difference"][key] for key in ("value", "low", "high"))
            gains[pair["mode"]] = Figure(pair["mode"], value, "points", low=low, high=high)
    return gains


def meet(one: Figure, other: Figure) -> bool:
    """Whether the intervals have a point in common."""
    return max(one.low, other.low) <= min(one.high, other.high)


def figures_of(runs: Mapping[str, Sequence[Demo]]) -> list[Figure]:
    figures = [median_of(f"rrr demo, {name}", [demo.seconds for demo in demos], "s") for name, demos in runs.items()]
    shares = [now.seconds / before.seconds for before, now in zip(runs[BEFORE], runs[NOW], strict=True)]
    figures.append(median_of("rrr demo, now of before", shares, "×", goal=0.5, at_most=True))
    # Every repeat has the same seed, so all have the gains of the first.
    before, now = runs[BEFORE][0].gains, runs[NOW][0].gains
    for mode in (mode for mode in MODES if mode in before and mode in now):
        for name, gain in ((BEFORE, before[mode]), (NOW, now[mode])):
            label = f"gain of the second try, {mode}, {name}"
            figures.append(dataclasses.replace(gain, label=label))
        figures.append(Figure(f"the same gain, {mode}", float(meet(before[mode], now[mode])), "", goal=1.0))
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--revision", default="f2bbcd7", help="what to compare with  [default: %(default)s]")
    parser.add_argument("--task", default="countdown")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("options", nargs="*", help="options of `rrr demo`, for both, after --")
    folder_option(parser)
    chosen = parser.parse_args(arguments)
    runs: dict[str, list[Demo]] = {BEFORE: [], NOW: []}
    with tempfile.TemporaryDirectory() as scratch:
        old = Path(scratch) / "before"
        check_out(chosen.revision, old)
        if reason := why_unfair(old, version("transformers")):
            parser.error(reason)
        for repeat in range(chosen.repeats):
            for name, tree in ((BEFORE, old), (NOW, ROOT)):
                runs[name].append(run_demo(tree, chosen.task, chosen.options, Path(scratch) / f"{name}-{repeat}"))
    about = {"revision": chosen.revision, "task": chosen.task, "options": chosen.options}
    return 0 if record("demo_time", figures_of(runs), chosen.folder, about=about) else 1


if __name__ == "__main__":
    sys.exit(main())
