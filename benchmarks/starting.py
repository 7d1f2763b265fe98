"""What it costs to start: CPU seconds of commands' imports, of `rrr tasks`, and of a judge to its first verdict.

    python benchmarks/starting.py [--beside CHECKOUT] [--rounds 7] [--json FILE]

Each figure is the median over rounds of a fresh process with compiled modules on a warm disk, children included. With
another checkout of this repository, the two take turns, and the ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
JUDGE = """
import time
from rrr_core.tasks import load_task
from rrr_core.verification import Judge, VerifySettings
task = load_task({task!r})
rows = [row for _, row in zip(range(32), task.load_dataset("train"))]
pairs = [(row, task.gold_answer(row)) for row in rows for _ in range(2)]
judge = Judge(task, settings=VerifySettings(isolation={isolation!r}, workers=2))
before = time.process_time()
assert all(verdict.is_passed for verdict in judge.judge(pairs[:{pairs}]))
first = time.process_time() - before
judge.close()
if {alone}: print(first)
"""
CASES = {
    "python -c pass": "pass",
    "rrr tasks": "import sys; sys.argv = ['rrr', 'tasks']; from rrr_core.cli import main; main()",
    "imports of rrr mine with a server": (
        "import rrr_core.cli.mine; from rrr_core import pipeline; pipeline.Workers, pipeline.open_tasks\n"
        "from rrr_core.cli.progress import make_progress; make_progress(); import rrr_core.generation.connection"
    ),
    "a judge of countdown, to 64 verdicts in two sandboxed workers": JUDGE.format(
        task="countdown", isolation="process", pairs=64, alone=False
    ),
    "a judge of apigen, to 64 verdicts in two sandboxed workers": JUDGE.format(
        task="apigen", isolation="process", pairs=64, alone=False
    ),
    "a judge of countdown in the core's process, to one verdict": JUDGE.format(
        task="countdown", isolation="auto", pairs=1, alone=False
    ),
    "its first verdict alone": JUDGE.format(task="countdown", isolation="auto", pairs=1, alone=True),
}


def cpu_seconds(checkout: Path, code: str, compiled: Path) -> float:
    """CPU seconds of a process, or what it prints on its last line if that is a number."""
    path = [str(checkout), *(str(source) for source in sorted(checkout.glob("plugins/*/src")))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONPYCACHEPREFIX": str(compiled / checkout.name),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=compiled, capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        return float(done.stdout.strip().rpartition("\n")[2])
    except ValueError:
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(checkouts: list[Path], code: str, rounds: int, compiled: Path) -> list[list[float]]:
    """The figures of each checkout, taken in turns after one call that compiles."""
    for checkout in checkouts:
        cpu_seconds(checkout, code, compiled)
    turns = [[cpu_seconds(checkout, code, compiled) for checkout in checkouts] for _ in range(rounds)]
    return [list(each) for each in zip(*turns, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    checkouts = [HERE, *([options.beside.resolve()] if options.beside else [])]
    found = {}
    with tempfile.TemporaryDirectory() as compiled:
        for name, code in CASES.items():
            found[name] = figures = measure(checkouts, code, options.rounds, Path(compiled))
            line = f"{name:64} {statistics.median(figures[0]):8.4f}"
            if options.beside:
                ratio = statistics.median(one / other for one, other in zip(*figures, strict=True))
                line += f"  beside {statistics.median(figures[1]):8.4f}, ratio {ratio:.2f}"
            print(line, flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
