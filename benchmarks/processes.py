"""Several processes beside one: the same bytes, texts and weights, the throughput of mining, and kills at any moment.

    python benchmarks/processes.py FOLDER equal        mining, evaluation and training in 1, 2 and 4 processes
    python benchmarks/processes.py FOLDER resumes      a training started in 1, 2 or 4 processes, and finished in others
    python benchmarks/processes.py FOLDER throughput   mining's rows a second in 2 processes over 1, one thread each
    python benchmarks/processes.py FOLDER kills        `kill -9` of a rank or its launcher, again and again
    python benchmarks/processes.py FOLDER bookkeeping  64 ranks at more and more shards: processor time, without a model

Each fails if its goal is missed, and prints its figures as JSON in the last line. They need the embedded Countdown
model, and a FOLDER that is new, but `resumes` that of `equal`. `throughput` counts the time that processes waited for
a core as not spent, so that other work on the machine matters less.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rrr_core.processes.meeting import Meeting
from rrr_core.processes.ranks import Ranks
from rrr_core.processes.shards import ShardJob
from rrr_core.processes.world import World
from rrr_core.profiling.profile import Profile
from rrr_core.runs.files import read_json, write_lines
from rrr_core.runs.layout import MineFolder, RunFolder, TrainFolder

MINE = ("--rows", "48", "--tries", "4", "--shard-rows", "4")
EVAL = ("--rows", "24", "--shard-rows", "3", "--modes", "greedy", "--max-tokens", "48")
TRAIN = (
    *("--steps", "4", "--group-size", "4", "--batch-size", "16", "--micro-batch-size", "4", "--save-every", "1"),
    *("--keep-checkpoints", "4"),
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


def resumes(options: argparse.Namespace) -> dict[str, Any]:
    found = {}
    for before, after in ((1, 2), (4, 2), (2, 1)):
        folder = options.folder / f"{before}-then-{after}"
        shutil.copytree(options.folder / str(before), folder)
        cut_back(RunFolder(folder).train)
        run("train", folder, after)
        found[f"{before} then {after}"] = compared(folder, options.folder / "1")
    worst = max(each["weights"] for each in found.values())
    return {"processes": found, "goal": WEIGHTS, "met": worst <= WEIGHTS}


def cut_back(training: TrainFolder) -> None:
    """Make a finished training one that was killed after its first checkpoint."""
    later = [path for step, path in training.checkpoints().items() if step > 1]
    for path in (training.model, *later):
        shutil.rmtree(path)
    for path in (training.summary, training.digests):
        path.unlink()


def throughput(options: argparse.Namespace) -> dict[str, Any]:
    rates: dict[str, dict[int, list[float]]] = {kind: {1: [], 2: []} for kind in ("as measured", "without waits")}
    for repeat in range(options.repeats):
        for count in (1, 2) if repeat % 2 else (2, 1):
            folder = RunFolder(options.folder / f"{count}-{repeat}")
            waited = mine_and_watch(folder, count, "--rows", str(options.rows), "--shard-rows", "32")
            summary = read_json(MineFolder(folder.mine.path).summary)
            rates["as measured"][count].append(summary["rows"] / summary["seconds"])
            rates["without waits"][count].append(summary["rows"] / (summary["seconds"] - waited))
    ratios = {kind: round(median(each[2]) / median(each[1]), 3) for kind, each in rates.items()}
    met = ratios["without waits"] >= SPEEDUP
    return {"rows_per_second": rates, "ratios": ratios, "goal": SPEEDUP, "met": met}


def mine_and_watch(folder: RunFolder, count: int, *more: str) -> float:
    """Mine, and return the seconds for which a process had work and no core, in the mean of all processes.

    It counts from the manifest to the last look at them before the summary.
    """
    asked, quiet = command("mine", folder.path, count, *more), subprocess.DEVNULL
    process = subprocess.Popen(asked, env=environment(), stdout=quiet, stderr=quiet)
    began: dict[int, float] = {}
    ended: dict[int, float] = {}
    while process.poll() is None:
        time.sleep(0.1)
        if folder.mine.manifest.exists() and not MineFolder(folder.mine.path).summary.exists():
            for pid in children_of(process.pid) if count > 1 else [process.pid]:
                with suppress(OSError):
                    ended[pid] = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
                    began.setdefault(pid, ended[pid])
    if process.returncode or len(ended) != count:
        raise SystemExit(f"mining in {count} processes ended with {process.returncode}")
    return sum(ended[pid] - began[pid] for pid in ended) / count


def kills(options: argparse.Namespace) -> dict[str, Any]:
    chance, seconds = random.Random(options.seed), {}
    for stage in STAGES:
        before = children_seconds()
        run(stage, options.folder / "one", 2)
        seconds[stage] = children_seconds() - before
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
    """Run a stage in two processes, and kill one when they have taken so much processor time, which is the same on a
    busy machine. Returns which; None if the stage ended before.

    A rank's launcher starts all again; a launcher's ranks die with it, and the next call resumes.
    """
    process = subprocess.Popen(
        command(stage, folder, 2),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        while process.poll() is None and processor_seconds(process.pid) < seconds:
            time.sleep(0.05)
        killed = None
        if process.poll() is None:
            ranks = children_of(process.pid)
            target = chance.choice([*ranks, *ranks, process.pid])
            killed = "rank" if target in ranks else "launcher"
            os.kill(target, signal.SIGKILL)
        _, said = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"{stage} ended with {process.returncode} after a kill of a {killed}: {said[-2000:]}")
    return killed


def children_seconds() -> float:
    """Processor time of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def processor_seconds(launcher: int) -> float:
    """Processor time of a launcher, of those it has waited for and of its ranks."""
    ticks = 0
    for pid in (launcher, *children_of(launcher)):
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


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
    measures = {
        "equal": equal,
        "resumes": resumes,
        "throughput": throughput,
        "kills": kills,
        "bookkeeping": bookkeeping,
    }
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
