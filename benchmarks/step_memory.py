"""Memory of one training step, as a callback of its trainer: the process's resident set, or torch's on a GPU."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback


class MemoryProbe(TrainerCallback):
    """Memory in MiB before a step and at its peak: the process's resident set, or torch's on the GPU."""

    def __init__(self, device: str) -> None:
        self.device, self.before, self.peak = device, 0.0, 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated() / 2**20
            return
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM restarts from what is resident now.
        self.before = resident("VmRSS")

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.peak = torch.cuda.max_memory_allocated() / 2**20 if self.device == "cuda" else resident("VmHWM")


def resident(name: str) -> float:
    """A figure of /proc/self/status, in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024
