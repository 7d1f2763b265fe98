"""Cost against work: mining's bookkeeping for 1,000 to 450,000 rows, a training step for 2 to 64 reflections a group.

    python benchmarks/scaling.py [--parts mining step] [--rows 1000 10000 100000 450000] [--group-sizes 2 4 8 16 32 64]

Mining is real (rounds, verdicts and files) with a zero-cost model, whose own time is subtracted: CPU time, seconds
and peak memory of mining, of reopening the finished folder, and of reading its failures for training. The step
is forward, backward and optimiser of `rrr train` on two groups, all their reflections in one pass, on a model
of Qwen2.5-0.5B's width with one layer: seconds, and the memory that the step adds. Each size is measured in a
separate process. The plots show growth: each size's cost relative to the smallest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Self

from recording import Figure, Line, folder_option, lines, record

ROWS = (1_000, 10_000, 100_000, 450_000)
GROUP_SIZES = (2, 4, 8, 16, 32, 64)
ACCURACY = 0.8
SLACK = 1.1
"""Growth that still counts as none: the noise of a single timing."""
SAMPLES_A_SECOND = 50_000
STEPS = 3

Measured = Mapping[str, float]


class Clock:
    """Wall-clock and CPU seconds spent within its `with` blocks; other work on the machine affects only the former."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> Self:
        self.wall -= time.perf_counter()
        self.cpu -= time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()

    def less(self, other: Clock) -> dict[str, float]:
        return {"seconds": self.wall - other.wall, "cpu": self.cpu - other.cpu}


def measure_mining(rows: int, folder: Path) -> Measured:
    """Mine that many rows into `folder`; in a finished folder, measures the time to notice that."""
    from simulated import SimulatedModel, equally_hard, simulated_task

    from rrr_core.mining import MineSettings, mine

    class Timed(SimulatedModel):
        clock = Clock()

        def generate(self, *arguments: Any) -> Any:
            with self.clock:
                return super().generate(*arguments)

    model = Timed(equally_hard(ACCURACY))
    with Clock() as clock:
        summary = mine(simulated_task(), model, folder, MineSettings(rows=rows), {"rows": str(rows)})
    return {**clock.less(model.clock), "samples": float(summary.sampled or 0), "peak": peak_memory()}


def measure_reading(_rows: int, folder: Path) -> Measured:
    """Read the failures mined into `folder`, as `rrr train` does."""
    from rrr_core.mining.failure_set import read_failures

    with Clock() as clock:
        failures = read_failures(folder)
    return {**clock.less(Clock()), "failures": float(len(failures)), "peak": peak_memory()}


def measure_step(group_size: int, folder: Path) -> Measured:
    """Seconds of a training step on two groups, and the memory that it adds."""
    import training_step

    from rrr_core.training.run import prepare

    prepare()
    options = training_step.options_of(None, groups=2, goal=1.0).parse_args([])
    options.layers, options.prompt, options.reflection = 1, 400, 40
    options.group_size, options.micro_batch_size = group_size, 2 * group_size
    training_step.save_model(training_step.shape_of(options), folder / "model", training_step.SEED)
    side = training_step.make_side(training_step.OURS, options, 0.0, "float32", folder)
    side.step()  # Warms up and creates the optimiser's state.
    probe = training_step.MemoryProbe(options.device)
    side.trainer.add_callback(probe)
    side.watch.seconds.clear()
    for _ in range(STEPS):
        side.step()
    return {"seconds": median(side.watch.seconds), "peak": probe.peak - probe.before}


MEASURES: Mapping[str, Callable[[int, Path], Measured]] = {
    "mining": measure_mining,
    "reading": measure_reading,
    "step": measure_step,
}


def measured(what: str, size: int, folder: Path) -> Measured:
    """A measurement in a separate process, so it does not include another's memory."""
    command = [sys.executable, __file__, "--measure", what, str(size), str(folder)]
    output = subprocess.run(command, capture_output=True, text=True)
    if output.returncode:
        raise RuntimeError(f"measuring {what} at {size} ended with status {output.returncode}:\n{output.stderr}")
    found: Measured = json.loads(output.stdout.splitlines()[-1])
    print(f"{what} {size}: " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()), flush=True)
    return found


def peak_memory() -> float:
    """This process's peak memory, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would report the parent's memory if that was larger at the fork.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (20 if sys.platform == "darwin" else 10)


def growth(label: str, points: Mapping[int, float]) -> Line:
    """Each size's cost, relative to the smallest size's."""
    return Line(label, [(size, value / points[min(points)]) for size, value in points.items()])


def each(found: Mapping[int, Measured], name: str) -> dict[int, float]:
    return {size: one[name] for size, one in found.items()}


def change(points: Mapping[int, float], per_unit: bool = False) -> float:
    """The largest size's value over the smallest's; `per_unit` divides each by its size first."""
    first, last = min(points), max(points)
    return points[last] / points[first] * (first / last if per_unit else 1.0)


def mining_part(sizes: Sequence[int], folder: Path) -> bool:
    """Mining's bookkeeping cost against rows. Returns whether the goals are met."""
    found: dict[str, dict[int, Measured]] = {"mine": {}, "resume": {}, "read": {}}
    for size in sizes:
        with tempfile.TemporaryDirectory() as mined:
            found["mine"][size] = measured("mining", size, Path(mined))
            found["resume"][size] = measured("mining", size, Path(mined))
            found["read"][size] = measured("reading", size, Path(mined))
    mine, resume, read, most = found["mine"], found["resume"], found["read"], max(sizes)
    span = f"{most:,} rows over {min(sizes):,}"
    figures = [
        Figure(f"mining: CPU time a row, {span}", change(each(mine, "cpu"), True), "×", goal=SLACK, at_most=True),
        Figure(f"mining: peak memory, {span}", change(each(mine, "peak")), "×", goal=SLACK, at_most=True),
        Figure(f"resuming: CPU time a row, {span}", change(each(resume, "cpu"), True), "×", goal=SLACK, at_most=True),
        Figure(f"resuming: peak memory, {span}", change(each(resume, "peak")), "×", goal=SLACK, at_most=True),
        Figure(
            "mining: samples a CPU second, beside the model",
            mine[most]["samples"] / mine[most]["cpu"],
            "samples/s",
            goal=SAMPLES_A_SECOND,
        ),
        Figure(f"mining {most:,} rows, beside the model", mine[most]["seconds"], "s"),
        Figure(f"mining {most:,} rows: peak memory", mine[most]["peak"], "MiB"),
        Figure(f"resuming {most:,} finished rows", resume[most]["seconds"], "s"),
        Figure(f"reading {read[most]['failures']:,.0f} failures", read[most]["seconds"], "s"),
        Figure(f"reading {read[most]['failures']:,.0f} failures: peak memory", read[most]["peak"], "MiB"),
    ]
    drawn = [
        Line("linear", [(size, size / min(sizes)) for size in sizes]),
        growth("CPU time of mining", each(mine, "cpu")),
        growth("CPU time of resuming", each(resume, "cpu")),
        growth("memory of mining", each(mine, "peak")),
        growth("memory of reading", each(read, "peak")),
    ]
    plot = lines("Mining's bookkeeping", drawn, "rows", f"times that of {min(sizes):,} rows")
    return record("scaling_mining", figures, folder, plot=plot, about={"accuracy": ACCURACY, "measured": found})


def step_part(sizes: Sequence[int], folder: Path) -> bool:
    """A training step's cost against reflections per group. Returns whether the goals are met."""
    found: dict[int, Measured] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as made:
            found[size] = measured("step", size, Path(made))
    span = f"G {max(sizes)} over {min(sizes)}"
    seconds, peak = each(found, "seconds"), each(found, "peak")
    figures = [
        Figure(f"a step: time a reflection, {span}", change(seconds, True), "×", goal=1.0, at_most=True),
        Figure(f"a step: memory added a reflection, {span}", change(peak, True), "×", goal=1.0, at_most=True),
    ]
    figures += [Figure(f"a reflection, G {size}", 1e3 * seconds[size] / (2 * size), "ms") for size in sizes]
    figures += [Figure(f"memory added a reflection, G {size}", peak[size] / (2 * size), "MiB") for size in sizes]
    drawn = [
        Line("linear", [(size, size / min(sizes)) for size in sizes]),
        growth("seconds of a step", seconds),
        growth("memory that it adds", peak),
    ]
    plot = lines("A training step", drawn, "reflections a group", f"times that of {min(sizes)}")
    return record(
        "scaling_step", figures, folder, plot=plot, about={"prompt": 400, "reflection": 40, "measured": found}
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=("mining", "step"), default=["mining", "step"])
    parser.add_argument("--rows", nargs="+", type=int, default=list(ROWS))
    parser.add_argument("--group-sizes", nargs="+", type=int, default=list(GROUP_SIZES))
    parser.add_argument("--measure", nargs=3, metavar=("WHAT", "SIZE", "FOLDER"), help=argparse.SUPPRESS)
    folder_option(parser)
    options = parser.parse_args()
    if options.measure:
        what, size, folder = options.measure
        print(json.dumps(MEASURES[what](int(size), Path(folder))))
        return 0
    parts = {"mining": (mining_part, options.rows), "step": (step_part, options.group_sizes)}
    met = [parts[part][0](parts[part][1], options.folder) for part in options.parts]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
