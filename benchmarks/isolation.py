"""What isolating a verifier costs: microseconds per verdict, in-process, isolated, and with a process for each verdict.

`python benchmarks/isolation.py [--verdicts 20000] [--json FILE]`. Three verifiers: Countdown's, APIGen's, and one that
does nothing, which measures the runner alone. Wall-clock time of one worker, and CPU time of the
core and its worker together, each the minimum of several rounds, since other work on the machine only adds to it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import textwrap
import time
from itertools import islice
from pathlib import Path

from rrr_core.tasks import load_task
from rrr_core.verification import Judge, VerifySettings

IDLE = """
    from rrr_core import hookimpl, passed
    @hookimpl
    def rrr_load_dataset(split): return []
    @hookimpl
    def rrr_prompt(row): return "?"
    @hookimpl
    def rrr_verify(row, answer): return passed()
"""
TASKS = ("idle", "countdown", "apigen")
TRIES = 8
"""Answers per row, as when a group of reflections is judged."""
WAYS = {"none": "in-process", "process": "isolated", "fresh": "fresh"}
"""`--verify-isolation` → its name here."""
FEWER = 50
"""With a process for each verdict, one in so many of the verdicts is measured."""
ROUNDS = 3
PASSES = 3


def install_idle(folder: Path) -> None:
    """Write the distribution of a task whose verifier does nothing."""
    info = folder / "rrr_idle-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rrr-idle\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rrr.tasks]\nidle = rrr_idle\n")
    (folder / "rrr_idle.py").write_text(textwrap.dedent(IDLE))
    sys.path.insert(0, str(folder))


def pairs_of(name: str, verdicts: int) -> list[tuple[dict, str]]:
    """Rows of a task, each with `TRIES` answers, half of them right."""
    task = load_task(name)
    rows = list(islice(task.load_dataset("train"), verdicts // TRIES))
    pairs = []
    for row in rows:
        right = task.gold_answer(row)
        wrong = right.replace("</answer>", "+1</answer>") if name == "countdown" else right.replace("arg", "Arg", 1)
        # Spaces make the answers differ: one that was read before is judged faster, and would flatter us.
        spaced = [" " * count for count in range(TRIES // 2)]
        pairs += [
            (row, answer.replace("</answer>", f"{each}</answer>") + each)
            for answer in (right, wrong)
            for each in spaced
        ]
    return pairs


def cpu_seconds() -> float:
    """CPU time of this process and the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(name: str, isolation: str, pairs: list[tuple[dict, str]]) -> dict[str, float]:
    """Microseconds per verdict, in wall-clock and CPU time."""
    walls: list[float] = []
    once = min(job(name, isolation, pairs, 1, walls) for _ in range(ROUNDS))
    # Starting and ending the processes is in both, so it cancels out in their difference.
    more = min(job(name, isolation, pairs, 1 + PASSES, walls) for _ in range(ROUNDS))
    return {
        "wall_microseconds": round(1e6 * min(walls) / len(pairs), 2),
        "cpu_microseconds": round(1e6 * (more - once) / PASSES / len(pairs), 2),
    }


def job(name: str, isolation: str, pairs: list[tuple[dict, str]], passes: int, walls: list[float]) -> float:
    """CPU seconds of judging the pairs `passes` times; each pass's wall-clock seconds are added to `walls`."""
    before = cpu_seconds()
    with Judge(load_task(name), 1.0, settings=VerifySettings(isolation=isolation, workers=1)) as judge:
        for _ in range(passes):
            began = time.perf_counter()
            judge.judge(pairs)
            walls.append(time.perf_counter() - began)
    return cpu_seconds() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--verdicts", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        install_idle(Path(folder))
        pairs = {"countdown": pairs_of("countdown", options.verdicts), "apigen": pairs_of("apigen", options.verdicts)}
        pairs["idle"] = pairs["countdown"]
        results = {
            f"{name}, {what}": measure(name, isolation, pairs[name][:: FEWER if isolation == "fresh" else 1])
            for name in TASKS
            for isolation, what in WAYS.items()
        }
    for name in TASKS:
        here = results[f"{name}, in-process"]
        for isolation in ("isolated", "fresh"):
            apart = results[f"{name}, {isolation}"]
            results[f"{name}, cost of {isolation}"] = {key: round(apart[key] - here[key], 2) for key in here}
    for name, figures in results.items():
        print(
            f"{name:32} {figures['wall_microseconds']:8.2f} µs wall {figures['cpu_microseconds']:8.2f} µs CPU a verdict"
        )
    if options.json:
        about = {"cores": os.cpu_count(), "verdicts": len(pairs["idle"])}
        options.json.write_text(json.dumps({**about, **results}, indent=1))


if __name__ == "__main__":
    main()
