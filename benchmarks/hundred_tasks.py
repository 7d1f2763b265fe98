"""How long `rrr tasks` takes with a hundred tasks installed, compared with an empty Python.

Two layouts: a hundred packages of one task, and one package of a hundred tasks. Each call is a fresh process with
a warm disk; the layouts and the empty Python alternate, so a busy machine slows all of them alike.

    python benchmarks/hundred_tasks.py [--calls 20]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rrr_core.runs.files import write_json

MODULE = """
from rrr_core import failed, hookimpl, passed

@hookimpl
def rrr_load_dataset(split):
    yield {"a": 1, "b": 2}

@hookimpl
def rrr_prompt(row):
    return f"What is {row['a']} + {row['b']}?"

@hookimpl
def rrr_verify(row, answer):
    return passed() if answer == str(row["a"] + row["b"]) else failed("wrong sum")
"""
TASKS = 100
LISTING = [sys.executable, "-c", "from rrr_core.cli import main; import sys; sys.argv[1:] = ['tasks']; main()"]


def lay_out(folder: Path, distribution: str, tasks: dict[str, str]) -> None:
    """Write a distribution as pip would have: its modules, metadata and entry points."""
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    requires = "Requires-Dist: rrr-core>=0.1,<0.2\nRequires-Dist: sympy>=1.12\n"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n{requires}")
    points = "".join(f"{name} = {module}\n" for name, module in tasks.items())
    (info / "entry_points.txt").write_text(f"[rrr.tasks]\n{points}")
    for module in set(tasks.values()):
        (folder / f"{module}.py").write_text(MODULE)


def hundred_packages(folder: Path) -> None:
    for number in range(TASKS):
        lay_out(folder, f"rrr-many-{number}", {f"many-{number}": f"rrr_many_{number}"})


def one_package(folder: Path) -> None:
    lay_out(folder, "rrr-hundred", {f"hundred-{number}": "rrr_hundred" for number in range(TASKS)})


def timed(command: list[str], folder: Path) -> tuple[float, float, int]:
    """Wall-clock and processor seconds of a fresh process, and the lines it wrote."""
    before, started = os.times(), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    wall, after = time.perf_counter() - started, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, done.stdout.count("\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        cases: dict[str, tuple[list[str], Path]] = {"python alone": ([sys.executable, "-c", "pass"], Path(scratch))}
        for layout in (hundred_packages, one_package):
            folder = Path(scratch) / layout.__name__
            folder.mkdir()
            layout(folder)
            cases[f"rrr tasks, {layout.__name__.replace('_', ' ')}"] = (LISTING, folder)
        for command, folder in cases.values():
            timed(command, folder)  # Python compiles the modules on the first call.
        runs = [{name: timed(*case) for name, case in cases.items()} for _ in range(options.calls)]
    figures = {}
    for name in cases:
        walls, cpus, lines = zip(*(run[name] for run in runs), strict=True)
        figures[name] = {
            "wall_median": statistics.median(walls),
            "wall_worst": max(walls),
            "cpu_median": statistics.median(cpus),
            "calls": options.calls,
            "lines": lines[0],
        }
        shown = f"{statistics.median(walls):.3f} s wall (worst {max(walls):.3f}), {statistics.median(cpus):.3f} s CPU"
        print(f"{name:28}  {shown}, {options.calls} calls, {lines[0]} lines")
    if options.json:
        write_json(options.json, figures)


if __name__ == "__main__":
    main()
