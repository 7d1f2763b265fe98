"""Cost against work, in one command and one plot.

    python benchmarks/scaling.py [--parts mining evaluating step prompt plugins] [--folder FOLDER]

Mining and evaluating are real (rounds, verdicts and files) with a zero-cost model, whose own time is subtracted: CPU
time, seconds and peak memory of mining 1,000 to 450,000 rows, of reopening the finished folder, of reading its failures
for training, and of evaluating 1,000 to 100,000 rows. The step is forward, backward and optimiser of `rrr train` on
two groups, all their reflections in one pass, on a model of Qwen2.5-0.5B's width with one layer: its CPU time, and the
memory that it adds, for 2 to 64 reflections a group and for prompts of 200 to 8,000 tokens. `rrr tasks` is started
with 1 to 300 packages installed. Each size is measured in a separate process. The plot shows growth: each size's cost
relative to the smallest's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self

from recording import Figure, Line, folder_option, lines, record

ROWS = (1_000, 10_000, 100_000, 450_000)
EVALUATED = (1_000, 10_000, 100_000)
GROUP_SIZES = (2, 4, 8, 16, 32, 64)
PROMPTS = (200, 800, 2_000, 8_000)
PACKAGES = (1, 10, 100, 300)
CALLS = 5
"""Starts of `rrr tasks`, of which the median counts."""
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


def timed_model() -> Any:
    """The class of simulated models whose own time is known."""
    from simulated import SimulatedModel

    class Timed(SimulatedModel):
        clock = Clock()

        def generate(self, *arguments: Any) -> Any:
            with self.clock:
                return super().generate(*arguments)

    return Timed


def measure_mining(rows: int, folder: Path) -> Measured:
    """Mine that many rows into `folder`; in a finished folder, measures the time to notice that."""
    from simulated import equally_hard, simulated_task

    from rrr_core.mining import MineSettings, mine

    model = timed_model()(equally_hard(ACCURACY))
    with Clock() as clock:
        summary = mine(simulated_task(), model, folder, MineSettings(rows=rows), {"rows": str(rows)})
    return {**clock.less(model.clock), "samples": float(summary.sampled or 0), "peak": peak_memory()}


def measure_reading(_rows: int, folder: Path) -> Measured:
    """Read the failures mined into `folder`, as `rrr train` does."""
    from rrr_core.mining.failure_set import read_failures

    with Clock() as clock:
        failures = read_failures(folder)
    return {**clock.less(Clock()), "failures": float(len(failures)), "peak": peak_memory()}


def measure_evaluating(rows: int, folder: Path) -> Measured:
    """Evaluate on that many rows, with all controls."""
    from simulated import equally_hard, simulated_task

    from rrr_core.evaluation import EvalSettings, evaluate

    model, settings = timed_model()(equally_hard(ACCURACY)), EvalSettings(rows=rows, modes=("sampled",))
    with Clock() as clock:
        evaluate(simulated_task(), model, folder, "vanilla", settings, {"rows": str(rows)})
    return {**clock.less(model.clock), "samples": float(model.samples), "peak": peak_memory()}


def measure_step(group_size: int, folder: Path, prompt: int = 400) -> Measured:
    """Seconds of a training step on two groups, and the memory that it adds."""
    import training_step

    from rrr_core.training.run import prepare

    prepare()
    options = training_step.options_of(None, groups=2, goal=1.0).parse_args([])
    options.layers, options.prompt, options.reflection = 1, prompt, 40
    options.group_size, options.micro_batch_size = group_size, 2 * group_size
    training_step.save_model(training_step.shape_of(options), folder / "model", training_step.SEED)
    side = training_step.make_side(training_step.OURS, options, 0.0, "float32", folder)
    side.step()  # Warms up and creates the optimiser's state.
    probe = training_step.MemoryProbe(options.device)
    side.trainer.add_callback(probe)
    side.watch.seconds.clear()
    with Clock() as clock:
        for _ in range(STEPS):
            side.step()
    cpu = clock.cpu / STEPS
    return {"seconds": median(side.watch.seconds), "cpu": cpu, "peak": probe.peak - probe.before}


def measure_prompt(tokens: int, folder: Path) -> Measured:
    """The same with 8 reflections on prompts of so many tokens."""
    return measure_step(8, folder, tokens)


def measure_plugins(count: int, folder: Path) -> Measured:
    """`rrr tasks` with that many packages of one task installed."""
    from hundred_tasks import LISTING, lay_out, timed

    for number in range(count):
        lay_out(folder, f"rrr-many-{number}", {f"many-{number}": f"rrr_many_{number}"})
    timed(LISTING, folder)  # Python compiles the modules on the first call.
    runs = [timed(LISTING, folder) for _ in range(CALLS)]
    return {"seconds": median(wall for wall, _, _ in runs), "cpu": median(cpu for _, cpu, _ in runs)}


MEASURES: Mapping[str, Callable[[int, Path], Measured]] = {
    "mining": measure_mining,
    "reading": measure_reading,
    "evaluating": measure_evaluating,
    "step": measure_step,
    "prompt": measure_prompt,
    "plugins": measure_plugins,
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
    """Each size's cost against its work, both relative to the smallest's."""
    least = min(points)
    return Line(label, [(size / least, value / points[least]) for size, value in points.items()])


def each(found: Mapping[int, Measured], name: str) -> dict[int, float]:
    return {size: one[name] for size, one in found.items()}


def change(points: Mapping[int, float], per_unit: bool = False) -> float:
    """The largest size's value over the smallest's; `per_unit` divides each by its size first."""
    first, last = min(points), max(points)
    return points[last] / points[first] * (first / last if per_unit else 1.0)


@dataclass(frozen=True)
class Part:
    """What one kind of work costs as it grows."""

    figures: Sequence[Figure]
    drawn: Sequence[Line]
    found: Mapping[str, Any]


def at_sizes(what: str, sizes: Sequence[int]) -> dict[int, Measured]:
    found: dict[int, Measured] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as made:
            found[size] = measured(what, size, Path(made))
    return found


def none_grows(label: str, points: Mapping[int, float], per_unit: bool = True) -> Figure:
    """The largest size's cost over the smallest's, each for one unit of work; at most 1 if growth is linear."""
    return Figure(label, change(points, per_unit), "×", goal=SLACK, at_most=True)


def mining_part(sizes: Sequence[int]) -> Part:
    """Mining's bookkeeping against rows, and reopening's and reading's."""
    found: dict[str, dict[int, Measured]] = {"mine": {}, "resume": {}, "read": {}}
    for size in sizes:
        with tempfile.TemporaryDirectory() as mined:
            found["mine"][size] = measured("mining", size, Path(mined))
            found["resume"][size] = measured("mining", size, Path(mined))
            found["read"][size] = measured("reading", size, Path(mined))
    mine, resume, read, most = found["mine"], found["resume"], found["read"], max(sizes)
    span = f"{most:,} rows over {min(sizes):,}"
    figures = [
        none_grows(f"mining: CPU time a row, {span}", each(mine, "cpu")),
        none_grows(f"mining: peak memory, {span}", each(mine, "peak"), per_unit=False),
        none_grows(f"resuming: CPU time a row, {span}", each(resume, "cpu")),
        none_grows(f"resuming: peak memory, {span}", each(resume, "peak"), per_unit=False),
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
        growth("mining, rows", each(mine, "cpu")),
        growth("reopening, rows", each(resume, "cpu")),
        growth("memory of mining", each(mine, "peak")),
        growth("memory of reading", each(read, "peak")),
    ]
    return Part(figures, drawn, found)


def evaluating_part(sizes: Sequence[int]) -> Part:
    """Evaluation's bookkeeping against rows."""
    found, most = at_sizes("evaluating", sizes), max(sizes)
    span = f"{most:,} rows over {min(sizes):,}"
    figures = [
        none_grows(f"evaluating: CPU time a row, {span}", each(found, "cpu")),
        Figure(f"evaluating: peak memory, {span}", change(each(found, "peak")), "×"),
        Figure(f"evaluating {most:,} rows, beside the model", found[most]["seconds"], "s"),
        Figure(f"evaluating {most:,} rows: peak memory", found[most]["peak"], "MiB"),
    ]
    drawn = [
        growth("evaluating, rows", each(found, "cpu")),
        growth("memory of evaluating", each(found, "peak")),
    ]
    return Part(figures, drawn, found)


def step_part(sizes: Sequence[int]) -> Part:
    """A training step against reflections a group."""
    found, span = at_sizes("step", sizes), f"G {max(sizes)} over {min(sizes)}"
    cpu, peak = each(found, "cpu"), each(found, "peak")
    figures = [
        Figure(f"a step: CPU time a reflection, {span}", change(cpu, True), "×", goal=1.0, at_most=True),
        Figure(f"a step: memory added a reflection, {span}", change(peak, True), "×", goal=1.0, at_most=True),
    ]
    figures += [Figure(f"a reflection, G {size}", 1e3 * cpu[size] / (2 * size), "CPU-ms") for size in sizes]
    figures += [Figure(f"memory added a reflection, G {size}", peak[size] / (2 * size), "MiB") for size in sizes]
    return Part(figures, [growth("step, G", cpu), growth("memory of a step, G", peak)], found)


def prompt_part(sizes: Sequence[int]) -> Part:
    """A training step against the prompt's tokens; attention grows with their square."""
    found, span = at_sizes("prompt", sizes), f"{max(sizes):,} over {min(sizes):,}"
    cpu, peak = each(found, "cpu"), each(found, "peak")
    figures = [
        Figure(f"a step: CPU time a prompt's token, {span}", change(cpu, True), "×"),
        none_grows(f"a step: memory added a prompt's token, {span}", peak),
    ]
    figures += [Figure(f"a step, prompts of {size:,} tokens", cpu[size], "CPU-s") for size in sizes]
    return Part(figures, [growth("step, prompt", cpu), growth("memory of a step, prompt", peak)], found)


def plugins_part(sizes: Sequence[int]) -> Part:
    """`rrr tasks` against installed packages."""
    found = at_sizes("plugins", sizes)
    cpu, span = each(found, "cpu"), f"{max(sizes)} over {min(sizes)}"
    figures = [
        none_grows(f"rrr tasks: CPU time a package, {span}", cpu),
        *(Figure(f"rrr tasks, {size} packages", cpu[size], "CPU-s", n=CALLS) for size in sizes),
    ]
    return Part(figures, [growth("rrr tasks, packages", cpu)], found)


PARTS: Mapping[str, tuple[Callable[[Sequence[int]], Part], Sequence[int]]] = {
    "mining": (mining_part, ROWS),
    "evaluating": (evaluating_part, EVALUATED),
    "step": (step_part, GROUP_SIZES),
    "prompt": (prompt_part, PROMPTS),
    "plugins": (plugins_part, PACKAGES),
}


def record_all(parts: Mapping[str, Part], folder: Path) -> bool:
    """Write all figures and one plot. Returns whether the goals are met."""
    drawn = [line for part in parts.values() for line in part.drawn]
    most = max(size for line in drawn for size, _ in line.points)
    plot = lines(
        "Costs as work grows", [Line("linear", [(1, 1), (most, most)]), *drawn], "times the work", "times the cost"
    )
    figures = [figure for part in parts.values() for figure in part.figures]
    return record("scaling", figures, folder, plot=plot, about={name: part.found for name, part in parts.items()})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--most", type=int, help="leave out sizes above this")
    parser.add_argument("--measure", nargs=3, metavar=("WHAT", "SIZE", "FOLDER"), help=argparse.SUPPRESS)
    folder_option(parser)
    options = parser.parse_args()
    if options.measure:
        what, size, folder = options.measure
        print(json.dumps(MEASURES[what](int(size), Path(folder))))
        return 0
    parts = {}
    for name in options.parts:
        part, sizes = PARTS[name]
        parts[name] = part([size for size in sizes if options.most is None or size <= options.most])
    return 0 if record_all(parts, options.folder) else 1


if __name__ == "__main__":
    sys.exit(main())
