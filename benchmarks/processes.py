"""Several processes beside one: the same bytes, texts and weights, the throughput of mining, and kills at any moment.

    python benchmarks/processes.py FOLDER equal        mining, evaluation and training in 1, 2 and 4 processes
    python benchmarks/processes.py FOLDER throughput   mining's rows a second in 2 processes over 1, one thread each
    python benchmarks/processes.py FOLDER kills        `kill -9` of a rank or its launcher, again and again
    python benchmarks/processes.py FOLDER bookkeeping  64 ranks at more and more shards: processor time, without a model

Each fails if its goal is missed, and prints its figures as JSON in the last line. They need the embedded Countdown
model, and a FOLDER that is new. `throughput` needs as many idle cores as processes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrr_core.processes.meeting import Meeting
from rrr_core.processes.ranks import Ranks
from rrr_core.processes.shards import ShardJob
from rrr_core.processes.world import World
from rrr_core.profiling.profile import Profile
from rrr_core.runs.files import read_json, write_lines
from rrr_core.runs.layout import MineFolder, RunFolder

MINE = ("--rows", "48", "--tries", "4", "--shard-rows", "4")
EVAL = ("--rows", "24", "--shard-rows", "3", "--modes", "greedy", "--max-tokens", "48")
TRAIN = (
    *("--steps", "4", "--group-size", "4", "--batch-size", "16", "--micro-batch-size", "4", "--save-every", "1"),
    *("--learning-rate", "1e-4", "--kl", "0.05", "--max-reflection-tokens", "40", "--max-retry-tokens", "20"),
)
STAGES = {"mine": MINE, "train": TRAIN, "eval": EVAL}
WEIGHTS, SPEEDUP = 1e-6, 1.7
"""The goals: most that a weight may differ, and the throughput of two processes over one."""
MOST_KILLS = 2
"""In one stage; it then runs to its end."""


def command(stage: str, folder: Path, processes: int, *more: str) -> list[str]:
    several = ("--processes", str(processes)) if processes > 1 else ()
    return [
        sys.executable,
        "-m",
        "rrr_core",
        stage,
        "countdown",
        "--folder",
        str(folder),
        *STAGES[stage],
        *more,
        *several,
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def run(stage: str, folder: Path, processes: int, *more: str) -> None:
    done = subprocess.run(
        command(stage, folder, processes, *more), env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{stage} in {processes} processes ended with {done.returncode}: {done.stderr[-2000:]}")


def texts_of(folder: Path) -> dict[str, bytes]:
    """The files that must be equal to the byte."""
    files = RunFolder(folder)
    evaluated = [path for each in files.evaluations() for paths in each.modes().values() for path in paths]
    figures = [each.figures for each in files.evaluations()]
    kept = [*files.mine.shards(), *evaluated, *figures, files.train.episodes]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in kept if path.exists()}


def difference(one: Path, other: Path) -> float:
    """The largest difference of a weight."""
    from safetensors.torch import load_file

    before, after = (load_file(RunFolder(each).train.model / "model.safetensors") for each in (one, other))
    return max(float((weight - after[name]).abs().max()) for name, weight in before.items())


def compared(folder: Path, reference: Path) -> dict[str, Any]:
    """How close a run comes to an undisturbed one. Raises SystemExit for any text or figure that differs."""
    mine, theirs = texts_of(folder), texts_of(reference)
    differing = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
    if differing:
        raise SystemExit(f"{folder} differs from {reference} in {', '.join(differing)}")
    return {"equal_files": len(mine), "weights": difference(folder, reference)}


def equal(options: argparse.Namespace) -> dict[str, Any]:
    for count in (1, 2, 4):
        for stage in STAGES:
            run(stage, options.folder / str(count), count)
    found = {str(count): compared(options.folder / str(count), options.folder / "1") for count in (2, 4)}
    worst = max(each["weights"] for each in found.values())
    return {"processes": found, "goal": WEIGHTS, "met": worst <= WEIGHTS}


def throughput(options: argparse.Namespace) -> dict[str, Any]:
    rates: dict[int, list[float]] = {1: [], 2: []}
    for repeat in range(options.repeats):
        for count in rates:
            folder = options.folder / f"{count}-{repeat}"
            run("mine", folder, count, "--rows", str(options.rows), "--shard-rows", "32")
            summary = read_json(MineFolder(RunFolder(folder).mine.path).summary)
            rates[count].append(summary["rows"] / summary["seconds"])
    best = {count: max(each) for count, each in rates.items()}
    ratio = best[2] / best[1]
    return {"rows_per_second": rates, "ratio": round(ratio, 3), "goal": SPEEDUP, "met": ratio >= SPEEDUP}


def kills(options: argparse.Namespace) -> dict[str, Any]:
    chance, seconds = random.Random(options.seed), {}
    for stage in STAGES:
        began = time.monotonic()
        run(stage, options.folder / "one", 2)
        seconds[stage] = time.monotonic() - began
    counts, runs = {"rank": 0, "launcher": 0}, 0
    while sum(counts.values()) < options.kills:
        folder = options.folder / f"killed-{runs}"
        runs += 1
        for stage in STAGES:
            for _ in range(MOST_KILLS):
                if (killed := kill_once(stage, folder, chance.uniform(0.1, 1.0) * seconds[stage], chance)) is None:
                    break
                counts[killed] += 1
            run(stage, folder, 2)
        found = compared(folder, options.folder / "one")
        print(f"{counts} in {runs} runs: {found}", flush=True)
    weights = [difference(options.folder / f"killed-{number}", options.folder / "one") for number in range(runs)]
    return {"kills": counts, "runs": runs, "weights": max(weights), "met": max(weights) <= WEIGHTS}


def kill_once(stage: str, folder: Path, seconds: float, chance: random.Random) -> str | None:
    """Run a stage in two processes and kill one after so many seconds. Returns which; None if the stage ended before.

    A rank's launcher starts all again; a launcher's ranks die with it, and the next call resumes.
    """
    process = subprocess.Popen(command(stage, folder, 2), env=environment(), stderr=subprocess.PIPE, text=True)
    with process:
        until = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        killed = None
        if process.poll() is None:
            ranks = children_of(process.pid)
            target = chance.choice([*ranks, process.pid])
            killed = "rank" if target in ranks else "launcher"
            os.kill(target, signal.SIGKILL)
        _, said = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"{stage} ended with {process.returncode} after a kill of a {killed}: {said[-2000:]}")
    return killed


def children_of(pid: int) -> list[int]:
    """The ranks that a launcher has started."""
    found = subprocess.run(["pgrep", "-P", str(pid), "-f", "rrr_core"], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


class MemoryStore:
    """torch's store, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.lock = threading.Lock()

    def set(self, key: str, value: str) -> None:
        self.values[key] = value

    def get(self, key: str) -> bytes:
        return self.values[key].encode()

    def add(self, key: str, amount: int) -> int:
        with self.lock:
            self.numbers[key] = self.numbers.get(key, 0) + amount
            return self.numbers[key]

    def check(self, keys: list[str]) -> bool:
        return all(key in self.values for key in keys)


@dataclass(frozen=True)
class Counted:
    """The record of a row, about as large as a mined one."""

    number: int

    def to_json(self) -> dict[str, Any]:
        return {"number": self.number, "text": "x" * 2000}


@dataclass
class NoWork:
    """A shard's work without a model."""

    profile: Profile = field(default_factory=Profile)

    def make(self, job: ShardJob) -> list[Counted]:
        return [Counted(index) for index, _ in job.rows]

    def read(self, record: Any, place: str) -> Counted:
        return Counted(record["number"])


def bookkeeping(options: argparse.Namespace) -> dict[str, Any]:
    """Processor time of all ranks together, per shard, first in a new folder and then where all shards are there."""
    seconds: dict[str, dict[int, float]] = {"new": {}, "resumed": {}}
    for shards in (256, 512, 1024, 2048):
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        for kind in seconds:
            before = time.process_time()
            simulate(folder, options.ranks, shards)
            seconds[kind][shards] = round((time.process_time() - before) / shards, 6)
        shutil.rmtree(folder)
    growth = {kind: max(each.values()) / min(each.values()) for kind, each in seconds.items()}
    return {"ranks": options.ranks, "seconds_per_shard": seconds, "growth": growth, "met": growth["new"] < 2}


def simulate(folder: Path, size: int, shards: int) -> None:
    store, files = MemoryStore(), MineFolder(folder)

    def missing() -> Iterator[ShardJob]:
        for number in range(shards):
            if not files.shard(number).exists():
                yield ShardJob(files.shard(number).stem, number, [(number, {})])

    def work(rank: int) -> None:
        world = World(rank, size, rank, size)
        for done in Ranks(world, Meeting(world, store)).in_order(folder, missing(), NoWork()):
            write_lines(files.shard(done.job.number), done.lines())

    with ThreadPoolExecutor(size) as pool:
        for each in [pool.submit(work, rank) for rank in range(size)]:
            each.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    measures = {"equal": equal, "throughput": throughput, "kills": kills, "bookkeeping": bookkeeping}
    parser.add_argument("what", choices=measures)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--ranks", type=int, default=64)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    found = measures[options.what](options)
    print(json.dumps(found))
    if not found["met"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
