"""Kills actors and whole machines of a Ray cluster at random moments, and compares the results with a quiet run's.

`python benchmarks/ray_kills.py FOLDER` starts a head and two machines as processes of this one, and mines and evaluates
Countdown with its own small model over and over. In each job an actor is killed twice and a machine once (`kill -9` of
its raylet and all its processes); a new machine joins a few seconds later. Every job must end with the bytes of the run
without Ray: shards and figures. Results go to FOLDER/jobs.jsonl; the same command resumes after the last whole job.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

JOBS = {
    "mine": ["mine", "countdown", "--rows", "2048", "--shard-rows", "64"],
    "eval": ["eval", "countdown", "--rows", "768", "--shard-rows", "32"],
}
KILLS = ("actor", "machine", "actor")
"""The kills of one job, in random order."""
RESULTS = ("shard-*.jsonl", "greedy-*.jsonl", "sampled-*.jsonl", "figures.json")


def results(folder: Path) -> dict[str, bytes]:
    """What a job is for: its shards and figures, by path."""
    found = (path for pattern in RESULTS for path in folder.rglob(pattern))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(found)}


def differences(wanted: Mapping[str, bytes], found: Mapping[str, bytes]) -> list[str]:
    """The files that only one of them has, or that differ."""
    return sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))


def finished(log: Path) -> list[dict[str, Any]]:
    """The jobs of earlier calls; a last line without its end is not one."""
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def plan(number: int) -> tuple[str, list[tuple[str, float]]]:
    """A job's kind, and its kills with the seconds before each."""
    chance = random.Random(number)
    kills = chance.sample(KILLS, len(KILLS))
    return list(JOBS)[number % len(JOBS)], [(kind, chance.uniform(0.5, 12)) for kind in kills]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=6)
    given = parser.parse_args()
    log = given.folder / "jobs.jsonl"
    given.folder.mkdir(parents=True, exist_ok=True)
    done = finished(log)
    if len(done) < given.jobs:
        references = {kind: _reference(given.folder, kind) for kind in JOBS}
        machines = Machines()
        try:
            for number in range(len(done), given.jobs):
                record = _job(number, given.folder / f"job-{number}-{time.time():.0f}", references, machines)
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
                print(json.dumps(record), flush=True)
        finally:
            machines.close()
    print(summary(finished(log)))


def summary(jobs: Sequence[Mapping[str, Any]]) -> str:
    """The jobs in a line."""
    kills = [kill["kind"] for job in jobs for kill in job["kills"]]
    counts = ", ".join(f"{kills.count(kind)} of {kind}s" for kind in sorted(set(kills)))
    alike = sum(not job["differing"] and job["code"] == 0 for job in jobs)
    files = sum(job["files"] for job in jobs)
    ended = f"{alike} ended with the bytes of a quiet run ({files} files)"
    return f"{len(kills)} kills ({counts}) in {len(jobs)} jobs: {ended}"


def _reference(folder: Path, kind: str) -> dict[str, bytes]:
    target = folder / f"reference-{kind}"
    subprocess.run([*_rrr(kind), "--folder", str(target)], check=True, stdout=subprocess.DEVNULL)
    return results(target)


def _job(
    number: int, folder: Path, references: Mapping[str, Mapping[str, bytes]], machines: Machines
) -> dict[str, Any]:
    kind, kills = plan(number)
    began, made = time.monotonic(), list[dict[str, Any]]()
    command = [*_rrr(kind), "--folder", str(folder), f"--ray={machines.address}", "--ray-actors=2"]
    said = folder.with_suffix(".log")
    with said.open("w") as output:
        job = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while job.poll() is None and not results(folder):
            time.sleep(0.1)
        for what, pause in kills:
            time.sleep(pause)
            while job.poll() is None and not (killed := machines.kill(what, random.Random(number))):
                time.sleep(0.2)
            if job.poll() is None:
                at, shards = time.monotonic() - began, len(results(folder))
                made.append({"kind": what, "seconds": round(at, 1), "processes": killed, "shards": shards})
        code = job.wait()
    found = results(folder)
    return {
        "job": kind,
        "code": code,
        "kills": made,
        "retried": said.read_text().count("died; its work is done again"),
        "files": len(found),
        "differing": differences(references[kind], found),
        "seconds": round(time.monotonic() - began, 1),
    }


def _rrr(kind: str) -> list[str]:
    return [str(Path(sys.executable).with_name("rrr")), *JOBS[kind]]


class Machines:
    """A Ray cluster of a head without cores and two machines with a core each, all on this one."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._memory = {"object_store_memory": 80_000_000}
        head = {"num_cpus": 0, "include_dashboard": False, **self._memory}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes = [self._cluster.add_node(num_cpus=1, **self._memory) for _ in range(2)]
        self.address = self._cluster.address

    def kill(self, what: str, chance: random.Random) -> int:
        """Kill one actor, or a machine, which is replaced after 5 s. Returns how many processes that were."""
        if what == "actor":
            actors = [pid for node in self._nodes for pid in _below(_raylet(node)) if _is_actor(pid)]
            doomed = [chance.choice(actors)] if actors else []
        else:
            node = chance.choice(
                [each for each in self._nodes if any(map(_is_actor, _below(_raylet(each))))] or self._nodes
            )
            doomed = [_raylet(node), *_below(_raylet(node))]
        for pid in doomed:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if what == "machine":
            self._nodes.remove(node)
            time.sleep(5)
            self._nodes.append(self._cluster.add_node(num_cpus=1, wait=False, **self._memory))
        return len(doomed)

    def close(self) -> None:
        self._cluster.shutdown()


def _raylet(node: Any) -> int:
    pid: int = node.all_processes["raylet"][0].process.pid
    return pid


def _below(pid: int) -> Iterator[int]:
    """The processes that a process started, and theirs."""
    for path in Path("/proc").glob(f"{pid}/task/*/children"):
        for child in path.read_text().split():
            yield int(child)
            yield from _below(int(child))


def _is_actor(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::ShardActor.make")
    except OSError:
        return False


if __name__ == "__main__":
    main()
