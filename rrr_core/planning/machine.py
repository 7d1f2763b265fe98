"""The machine that a run is planned for: this one, or an accelerator known by its name."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rrr_core.errors import RrrError
from rrr_core.planning.settings import PlanOptions
from rrr_core.planning.speeds import MEMORY, device_named
from rrr_core.processes.launch import variables
from rrr_core.processes.memory import machine_bytes

LIBRARIES = 0.6e9
"""Bytes that Python and its libraries take in a process on a CPU: 0.53 GB with the extra `train` alone, 0.69 GB with
the packages that lm-eval and TensorBoard bring. About what a GPU's context takes there."""


@dataclass(frozen=True, slots=True)
class Device:
    """What one process computes on."""

    name: str
    memory: float
    """Bytes; of a CPU those of the machine, shared by its processes."""
    is_cpu: bool
    is_here: bool


def device_for(options: PlanOptions, wanted: str | None = None) -> Device:
    """The device that the options name, else this machine's; `wanted` is the run's `--device`."""
    if options.accelerator is not None:
        entry = device_named(options.accelerator, MEMORY)
        assert entry is not None
        memory = options.gpu_memory or float(MEMORY[entry])
        return Device(entry, memory * 1e9, is_cpu=False, is_here=False)
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    if found is not None and found.type == "cuda" and not (wanted or "").startswith("cpu"):
        properties = torch.cuda.get_device_properties(0)
        memory = options.gpu_memory * 1e9 if options.gpu_memory else float(properties.total_memory)
        return Device(properties.name, memory, is_cpu=False, is_here=True)
    if options.gpu_memory:  # a GPU of unknown make: what fits can be said, not how long it takes
        return Device("a GPU", options.gpu_memory * 1e9, is_cpu=False, is_here=False)
    if not (memory := machine_bytes()):
        raise RrrError("this system does not say how much memory it has: plan for a GPU with --accelerator.")
    return Device("cpu", memory / options.processes, is_cpu=True, is_here=True)


def slowdown(processes: int) -> float:
    """How many times as long one of several processes on this CPU takes for its share as one process takes for that.

    `--processes` gives each an equal part of the cores; work is taken to be as fast as the threads are many.
    """
    if processes == 1:
        return 1.0
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = int(variables(processes, os.environ)["OMP_NUM_THREADS"])
    alone: int = torch.get_num_threads()
    return alone / threads * max(1.0, processes * threads / cores)
