"""A plan: what a run will take on a machine, and which ways to train it fit there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rrr_core.errors import ModelError, RrrError
from rrr_core.pipeline.opening import open_engine
from rrr_core.pipeline.settings import RunSettings
from rrr_core.planning.estimate import (
    RunPart,
    StageEstimate,
    TaskPart,
    disk_of,
    estimates,
    ranges,
    training_estimate,
)
from rrr_core.planning.fits import Candidate, candidates, cheapest
from rrr_core.planning.machine import LIBRARIES, Device, slowdown
from rrr_core.planning.memory import Memory
from rrr_core.planning.past import device_of, read_past, read_profiles, speeds_of
from rrr_core.planning.phases import Phases, assumed
from rrr_core.planning.probing import Measured, limits_of, probe
from rrr_core.planning.reading import NO_SPEED, ReadRun, read_run
from rrr_core.planning.settings import PlanOptions
from rrr_core.planning.speeds import Speeds, of_device
from rrr_core.progress import Progress
from rrr_core.runs.layout import RunFolder

UNSURE = (0.5, 2.0)
"""Of seconds that follow from a data sheet: what they may really be, as factors."""
MORE_PROCESSES = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Plan:
    """What a run will take."""

    model: str
    tasks: tuple[str, ...]
    device: Device
    processes: int
    price: float | None
    stages: tuple[StageEstimate, ...]
    ranges: Mapping[str, dict[str, tuple[float, float]]]
    """Stage → the least and the most of its tokens and seconds."""
    has_speeds: bool
    disk: Mapping[str, float]
    """What → bytes."""
    candidates: tuple[Candidate, ...]
    chosen: Candidate | None
    """The cheapest that fits."""
    as_asked: Candidate | None
    """The micro-batch and the sharding that the settings have."""
    advice: str
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def seconds_range(self) -> tuple[float, float]:
        return (
            sum(each["seconds"][0] for each in self.ranges.values()),
            sum(each["seconds"][1] for each in self.ranges.values()),
        )

    def money(self, seconds: float) -> float | None:
        """What so many seconds cost; None without a price."""
        return None if self.price is None else seconds / 3600 * self.price * self.processes


def make_plan(settings: RunSettings, options: PlanOptions, progress: Progress | None = None) -> Plan:
    """Plan a run. Raises RrrError, in one line, for all that `rrr run` would refuse before it starts."""
    read = read_run(settings, options)
    phases, speeds, notes = _sources(read, options, progress or Progress())
    tasks = [
        TaskPart(
            name=each.name,
            phases=found,
            train_rows=prompts.rows["train"],
            test_rows=prompts.rows["test"],
            mine=each.fitting(read.settings.mine),
            eval=each.fitting(read.settings.eval),
            share=share,
            deciders=deciders,
        )
        for each, found, prompts, share, deciders in zip(
            read.tasks, phases, read.prompts, read.shares, read.deciders, strict=True
        )
    ]
    unsure = UNSURE if "assumed" in speeds.source else (1.0, 1.0)
    return planned(read, replace(read.run, speeds=speeds, speed_range=unsure), tasks, options, notes)


def planned(read: ReadRun, run: RunPart, tasks: Sequence[TaskPart], options: PlanOptions, notes: Sequence[str]) -> Plan:
    """The plan of a run whose texts, rates and speeds are known."""
    settings, memory = run.step.settings, read.device.memory

    def price(sharding: str, micro: int, processes: int) -> tuple[Memory, Memory, float]:
        stage = training_estimate(run.with_step(sharding, micro, processes), tasks)
        return with_libraries(stage.memory), with_libraries(stage.worst), stage.seconds

    found = candidates(price, settings.micro_batch_size, settings.batch_size, options.processes)
    chosen = cheapest(found, memory, settings.micro_batch_size)
    asked = next(
        (
            each
            for each in found
            if each.micro_batch == settings.micro_batch_size and each.sharding == run.setup.sharding
        ),
        None,
    )
    stages = [
        replace(each, memory=with_libraries(each.memory), worst=with_libraries(each.worst))
        for each in estimates(run, tasks)
    ]
    advice = ""
    if chosen is None:
        for processes in MORE_PROCESSES:
            if settings.batch_size % processes == 0 and processes > options.processes:
                usual, worst, seconds = price("fsdp2", 1, processes)
                if Candidate("fsdp2", 1, processes, usual.peak, worst.peak, seconds).fits(memory) == "yes":
                    advice = f"with fsdp2 it would take {processes} processes"
                    break
    return Plan(
        model=str(read.settings.model.model),
        tasks=tuple(each.name for each in tasks),
        device=read.device,
        processes=options.processes,
        price=options.price,
        stages=tuple(stages),
        ranges=ranges(run, tasks),
        has_speeds=run.speeds != NO_SPEED,
        disk=disk_of(run, tasks),
        candidates=tuple(found),
        chosen=chosen,
        as_asked=asked,
        advice=advice,
        notes=tuple(notes),
    )


def with_libraries(memory: Memory) -> Memory:
    """With what a process takes before it holds a tensor."""
    return Memory({**memory.parts, "libraries": LIBRARIES})


def _sources(read: ReadRun, options: PlanOptions, progress: Progress) -> tuple[list[Phases], Speeds, list[str]]:
    """The phases of each task, the speeds, and where both come from."""
    notes: list[str] = []
    phases = [assumed(prompts, limits_of(read)) for prompts in read.prompts]
    speeds: Speeds | None = None
    shape, setup, device = read.run.shape, read.run.setup, read.device
    if options.past is not None:
        profiles = read_profiles(options.past)
        ran_on = device_of(profiles)
        phases = [
            read_past(_part_of(RunFolder(options.past), each.name, len(read.tasks)), prompts)
            for each, prompts in zip(read.tasks, read.prompts, strict=True)
        ]
        notes.append(f"lengths and pass rates: from {options.past}")
        if ran_on is not None and _same_device(ran_on, device):
            speeds = speeds_of(profiles, shape.parameters, f"profiles in {options.past}")
    if options.probes:
        probed = _probed(read, options, progress)
        if options.past is None:
            phases = probed.phases
            notes.append(f"lengths and pass rates: from a probe of {probed.rows} rows, before any training")
        if device.is_here:
            speeds = probed.speeds
        notes += probed.notes
    elif options.past is None:
        notes.append(
            "lengths and pass rates: assumed (texts of 40% of their limit, half of the first tries right); the ranges"
            " say how little is known. A probe on the machine, or --from a past run, says more"
        )
    if speeds is None and not device.is_cpu:
        speeds = of_device(
            device.name, shape, setup.trainable, setup.stored_bytes, setup.bytes_per_weight, setup.checkpointed
        )
    if speeds is None:
        notes.append("hours: unknown, since nothing was measured: run the plan on the machine, or give --accelerator")
        return phases, NO_SPEED, notes
    notes.append(f"speeds: {speeds.source}")
    if read.run.step.processes > 1:
        if device.is_cpu:
            speeds = speeds.times(slowdown(read.run.step.processes))
            notes.append("the processes share this machine's cores")
        notes.append("the work is taken to divide among the processes evenly; sharding's communication is assumed")
    return phases, speeds, notes


def _probed(read: ReadRun, options: PlanOptions, progress: Progress) -> Measured:
    try:
        engine = open_engine(read.settings.model, progress)
    except ModelError as error:
        raise RrrError(
            f"{str(error).rstrip('.')}: the probe needs the weights; plan without one with --no-probe."
        ) from None
    return probe(read, engine, options.probe_seconds, progress)


def _part_of(run: RunFolder, task: str, count: int) -> RunFolder:
    return run.of_task(task) if count > 1 or run.parts() else run


def _same_device(name: str, device: Device) -> bool:
    return name == device.name or (device.name != "cpu" and device.name.upper() in name.upper())
