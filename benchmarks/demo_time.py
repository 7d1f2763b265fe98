"""`rrr demo` of this working tree against that of an earlier revision: seconds and gain of both.

    python benchmarks/demo_time.py [--revision f2bbcd7] [--task countdown] [--repeats 1] [-- OPTIONS OF rrr demo]
    python benchmarks/demo_time.py --side-by-side --revision 6fddd9e --repeats 6 --goal 1.03

Both run on this machine, one after the other, each in a new folder, with the core and plugins of its own revision.
With `--side-by-side` both run at once, each on one core, and swap cores with every repeat: processor time is compared,
by pairs, so other work on the machine slows both alike. That both did the same work is checked, not assumed: their
texts, verdicts and weights are compared byte by byte.

The gain is in second tries, trained minus untrained model, on the rows that the demo evaluates. A run is a
sample of one seed: two gains count as the same if their intervals overlap.

A revision from before rrr supported transformers 5.24 must be run with an earlier one (`pip install
'transformers<5.24'`): with 5.24 it falls back to the slow `generate`, and anything looks fast in comparison.
"""

from __future__ import annotations

import argparse
import compileall
import dataclasses
import hashlib
import io
import math
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

from rrr_core.evaluation.statistics import pooled_mean
from rrr_core.runs.files import read_json

BEFORE, NOW = "before", "now"
MODES = ("greedy", "sampled")
RESULTS = ("mine/shard-*.jsonl", "train/episodes.jsonl", "train/model/model.safetensors", "eval/*/*.jsonl")
"""The files that hold texts, verdicts and weights, and neither dates nor paths."""


@dataclass(frozen=True)
class Demo:
    """One run of `rrr demo`."""

    seconds: float
    gains: Mapping[str, Figure]
    """Mode → the gain in percentage points, with its interval."""
    processor_seconds: float
    """Of the process and of all that it started."""
    results: Mapping[str, str]
    """File of results → its SHA-256."""


@dataclass(frozen=True)
class Running:
    """A run of `rrr demo` that has been started."""

    process: subprocess.Popen[bytes]
    folder: Path
    began: float

    def wait(self) -> Demo:
        """Wait for its end. Raises CalledProcessError if it failed."""
        _, status, used = os.wait4(self.process.pid, 0)
        seconds = time.perf_counter() - self.began
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode:
            raise subprocess.CalledProcessError(self.process.returncode, self.process.args)
        gains = gains_of(read_json(self.folder / "eval" / "comparison.json"))
        return Demo(seconds, gains, used.ru_utime + used.ru_stime, digests_of(self.folder))


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


def sources_of(tree: Path) -> list[Path]:
    return [tree, *sorted(tree.glob("plugins/*/src"))]


def compile_sources(tree: Path) -> None:
    """Compile the sources in `tree` as installing does, so that no run pays for it."""
    for folder in (tree / "rrr_core", *sources_of(tree)[1:]):
        compileall.compile_dir(folder, quiet=2)


def start_demo(tree: Path, task: str, options: Sequence[str], folder: Path, core: int | None = None) -> Running:
    """Start the demo of the sources in `tree`, on one core only if `core` says which."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources_of(tree)))}
    pin = "" if core is None else f"import os; os.sched_setaffinity(0, {{{core}}}); "
    command = [sys.executable, "-c", f"{pin}from rrr_core.cli import main; main()", "demo", task]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--folder", str(folder), *options], env=environment, cwd=folder.parent, stdout=sys.stderr
    )
    return Running(process, folder, began)


def run_pair(
    trees: Mapping[str, Path], task: str, options: Sequence[str], folders: Mapping[str, Path], cores: Sequence[int]
) -> dict[str, Demo]:
    """Run the demo of each tree: at once, each on its own core, or one after the other if there are no `cores`."""
    if not cores:
        return {name: start_demo(tree, task, options, folders[name]).wait() for name, tree in trees.items()}
    running = {
        name: start_demo(tree, task, options, folders[name], core)
        for (name, tree), core in zip(trees.items(), cores, strict=True)
    }
    try:
        return {name: one.wait() for name, one in running.items()}
    finally:
        for one in running.values():
            if one.process.returncode is None:
                one.process.kill()


def cores_of_repeat(side_by_side: bool, repeat: int) -> list[int]:
    """The cores of the two sides, swapped with every repeat; none if they run one after the other."""
    if not side_by_side:
        return []
    first, second = sorted(os.sched_getaffinity(0))[:2]
    return [second, first] if repeat % 2 else [first, second]


def digests_of(folder: Path) -> dict[str, str]:
    """File of results → its SHA-256, from a finished run's folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in RESULTS
        for path in sorted(folder.glob(pattern))
    }


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


def ratio_of(label: str, before: Sequence[float], now: Sequence[float], goal: float) -> Figure:
    """The geometric mean of now over before by pairs, with Student's interval of its logarithm."""
    mean = pooled_mean([math.log(late / early) for early, late in zip(before, now, strict=True)])
    low, high = (None if end is None else math.exp(end) for end in (mean.low, mean.high))
    return Figure(label, math.exp(mean.value), "×", len(now), low, high, goal=goal, at_most=True)


def figures_of(runs: Mapping[str, Sequence[Demo]], goal: float = 0.5, side_by_side: bool = False) -> list[Figure]:
    figures = []
    seconds = {name: [demo.seconds for demo in demos] for name, demos in runs.items()}
    processor = {name: [demo.processor_seconds for demo in demos] for name, demos in runs.items()}
    if side_by_side:
        figures += [median_of(f"rrr demo, processor time, {name}", values, "s") for name, values in processor.items()]
        figures.append(ratio_of("rrr demo, processor time, now of before", processor[BEFORE], processor[NOW], goal))
    else:
        figures += [median_of(f"rrr demo, {name}", values, "s") for name, values in seconds.items()]
        shares = [now / before for before, now in zip(seconds[BEFORE], seconds[NOW], strict=True)]
        figures.append(median_of("rrr demo, now of before", shares, "×", goal=goal, at_most=True))
    same = [now.results == before.results for before, now in zip(runs[BEFORE], runs[NOW], strict=True)]
    figures.append(Figure("the same texts, verdicts and weights", float(all(same)), "", len(same)))
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
    parser.add_argument("--side-by-side", action="store_true", help="compare processor time, each side on its own core")
    parser.add_argument("--goal", type=float, default=0.5, help="most it may take of before  [default: %(default)s]")
    parser.add_argument("options", nargs="*", help="options of `rrr demo`, for both, after --")
    folder_option(parser)
    chosen = parser.parse_args(arguments)
    if chosen.side_by_side and (not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2):
        parser.error("--side-by-side needs Linux and two cores: leave it out to run one after the other.")
    runs: dict[str, list[Demo]] = {BEFORE: [], NOW: []}
    with tempfile.TemporaryDirectory() as scratch:
        old = Path(scratch) / "before"
        check_out(chosen.revision, old)
        if reason := why_unfair(old, version("transformers")):
            parser.error(reason)
        trees = {BEFORE: old, NOW: ROOT}
        for tree in trees.values():
            compile_sources(tree)
        for repeat in range(chosen.repeats):
            folders = {name: Path(scratch) / f"{name}-{repeat}" for name in trees}
            cores = cores_of_repeat(chosen.side_by_side, repeat)
            for name, demo in run_pair(trees, chosen.task, chosen.options, folders, cores).items():
                runs[name].append(demo)
    about = {
        "revision": chosen.revision,
        "task": chosen.task,
        "options": chosen.options,
        "processor_seconds": {name: [demo.processor_seconds for demo in demos] for name, demos in runs.items()},
    }
    figures = figures_of(runs, chosen.goal, chosen.side_by_side)
    return 0 if record("demo_time", figures, chosen.folder, about=about) else 1


if __name__ == "__main__":
    sys.exit(main())
