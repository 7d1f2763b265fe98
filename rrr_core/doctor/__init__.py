"""What this machine has for rrr, what it lacks, and what each lack costs."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import rrr_core

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from rrr_core.tasks import TaskEntry

State = Literal["ok", "missing", "broken", "unknown"]
GROUPS = ("machine", "packages", "tasks", "sandbox")
LITTLE_SPACE = 5e9
"""Bytes of free disk below which a model of a billion weights, with its optimiser's state, leaves no checkpoint."""
TORCH_SECONDS = 60
"""How long torch may take to tell its device: a cold start from a slow disk takes most of it."""

_ASK_TORCH = """
import json, torch
found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
kind = found.type if found is not None else "cpu"
names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if kind == "cuda" else []
memory = [torch.cuda.get_device_properties(index).total_memory for index in range(len(names))]
print(json.dumps({"kind": kind, "names": names, "memory": memory}))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that rrr can use."""

    group: str
    """One of `GROUPS`."""
    name: str
    state: State
    """`ok`; `missing`: not there, and not needed by everyone; `broken`: there, and does not work; `unknown`."""
    detail: str
    """What was found, in one line."""
    cost: str = ""
    """What cannot be done without it, and what to do about it."""


def examine(folder: Path, *, quick: bool = False) -> Iterator[Finding]:
    """All findings, group by group; `folder` is where runs would be kept. `quick` leaves out what takes seconds.

    Nothing is changed, and no torch is imported here: its device is asked for in a process of its own.
    """
    yield from machine(folder)
    yield from packages()
    yield from accelerator(quick=quick)
    yield from tasks()
    yield from sandbox()


def machine(folder: Path) -> Iterator[Finding]:
    """Python, processor and memory, and what the disk under `folder` offers."""
    python = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} "
    yield Finding("machine", "Python", "ok", f"{python}{platform.release()} {platform.machine()}")
    yield Finding("machine", "processor", "ok", _processor())
    yield _space(folder)
    yield from _files(folder)


def packages() -> Iterator[Finding]:
    """rrr-core, and each of its extras with the packages that it needs."""
    yield Finding("packages", "rrr-core", "ok", rrr_core.__version__)
    if _version("rrr-core") is None:
        cost = "which extras are there cannot be told: pip install rrr-core"
        yield Finding("packages", "extras", "unknown", "rrr-core runs from its source and is not installed", cost)
        return
    costs = {
        "train": "no generation with transformers and no training",
        "server": "no model behind an OpenAI-compatible server (--base-url)",
        "vllm": "no generation with vLLM (--backend vllm), and none to serve a model with",
    }
    for extra, requirements in _extras().items():
        found = [_installed(requirement) for requirement in requirements]
        if not found:
            yield Finding("packages", f"[{extra}]", "missing", "not offered on this system", costs.get(extra, ""))
            continue
        lacking = [text for text, fits in found if not fits]
        if lacking:
            cost = f"{costs.get(extra, f'without {extra}')}: pip install 'rrr-core[{extra}]'"
            yield Finding("packages", f"[{extra}]", "missing", ", ".join(lacking), cost)
        else:
            yield Finding("packages", f"[{extra}]", "ok", ", ".join(text for text, _ in found))


def accelerator(*, quick: bool = False) -> Iterator[Finding]:
    """What torch would compute on."""
    if _version("torch") is None:
        cost = "no model runs on this machine, but one behind a server can be evaluated: pip install 'rrr-core[train]'"
        yield Finding("packages", "accelerator", "unknown", "torch is not installed", cost)
        return
    if quick:
        yield Finding("packages", "accelerator", "unknown", "not asked for, since torch takes seconds to load")
        return
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH],
            capture_output=True,
            text=True,
            timeout=TORCH_SECONDS,
            check=True,
        )
        answer = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        yield Finding("packages", "accelerator", "unknown", f"torch did not load within {TORCH_SECONDS} seconds")
        return
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        cost = "no model runs on this machine: reinstall torch for this system"
        yield Finding("packages", "accelerator", "broken", f"torch does not work: {reason}", cost)
        return
    # A driver that is too old for torch is told in a warning, and nowhere else.
    warnings = [line for line in done.stderr.splitlines() if "Warning: " in line]
    yield device_finding(answer, warnings[0].partition("Warning: ")[2] if warnings else "")


def device_finding(answer: dict[str, Any], warning: str = "") -> Finding:
    """What torch told of its device, and warned of, as a finding.

    >>> device_finding({"kind": "cuda", "names": ["H200"], "memory": [150e9]}).detail
    'cuda: H200, 150.0 GB'
    """
    if answer["kind"] == "cpu":
        cost = "models beyond some million weights train slowly: use a machine with a GPU, and torch built for it"
        detail = "torch computes on the processor" + (f", and warns: {warning}" if warning else "")
        return Finding("packages", "accelerator", "missing", detail, cost)
    devices = [f"{name}, {size / 1e9:.1f} GB" for name, size in zip(answer["names"], answer["memory"], strict=True)]
    return Finding(
        "packages", "accelerator", "ok", ": ".join([answer["kind"], *(["; ".join(devices)] if devices else [])])
    )


def tasks() -> Iterator[Finding]:
    """The installed tasks and overlays, each loaded to tell whether it works."""
    from rrr_core.tasks import describe_task, find_overlays, find_tasks, load_task

    entries = [*find_tasks(), *find_overlays()]
    if not any(entry.kind == "task" for entry in entries):
        yield Finding("tasks", "tasks", "missing", "none", "nothing to train on; for one, pip install rrr-countdown")
    for entry in entries:
        description = describe_task(entry)
        if description.state == "ok":
            isolated = entry.kind == "task" and not load_task(entry.name).trusted
            detail = f"{entry.who}; its verifier is not trusted: it runs in the sandbox" if isolated else entry.who
            yield Finding("tasks", _name(entry), "ok", detail)
        else:
            cost = f"{_name(entry)} cannot be used; other tasks can"
            yield Finding("tasks", _name(entry), "broken", description.state, cost)


def sandbox() -> Iterator[Finding]:
    """What a verifier that runs model text is kept from on this machine."""
    from rrr_core.verification.protection import protections

    for protection in protections():
        if protection.in_force:
            yield Finding("sandbox", protection.name, "ok", protection.detail)
        else:
            cost = "a verifier that is not trusted is not kept from this; docs/verification.md says what it takes"
            yield Finding("sandbox", protection.name, "missing", protection.detail, cost)


def _processor() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.1f} GB of memory"
    return f"{cores} core{'s' if cores > 1 else ''}{memory}"


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free here"
    if free >= LITTLE_SPACE:
        return Finding("machine", "disk", "ok", detail)
    cost = "checkpoints of larger models will not fit: make room, or keep runs elsewhere with --folder"
    return Finding("machine", "disk", "missing", detail, cost)


def _files(folder: Path) -> Iterator[Finding]:
    """Whether a run can be written in `folder`, and held by one process at a time."""
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - what follows must not be taken for its error
    except OSError as error:
        cost = "runs cannot be kept here: go elsewhere, or name a --folder"
        yield Finding("machine", "files", "missing", f"this folder cannot be written: {error.strerror}", cost)
        return
    with file:
        cost = "two processes on one run folder would not notice each other: see to it yourself"
        if _locks(file.fileno()):
            yield Finding("machine", "file locks", "ok", "a run folder has one writer at a time")
        else:
            yield Finding("machine", "file locks", "missing", "no locks on this file system", cost)


def _locks(descriptor: int) -> bool:
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _extras() -> dict[str, list[Requirement]]:
    """Extra → the packages that it adds on this machine, those of an extra within it included."""
    from packaging.requirements import Requirement

    about = metadata.metadata("rrr-core")
    stated = [Requirement(text) for text in metadata.requires("rrr-core") or []]
    bare = [requirement for requirement in stated if requirement.marker is None or _applies(requirement, "")]
    extras: dict[str, list[Requirement]] = {}
    for extra in about.get_all("Provides-Extra") or []:
        added = [requirement for requirement in stated if requirement not in bare and _applies(requirement, extra)]
        extras[extra] = [requirement for requirement in added if requirement.name != "rrr-core"]
    return extras


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _installed(requirement: Requirement) -> tuple[str, bool]:
    """A package as it is told (`trl 1.16.0`, or why it does not do), and whether it does."""
    version = _version(requirement.name)
    if version is None:
        return f"{requirement.name} is not installed", False
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} is not {requirement.specifier}", False
    return f"{requirement.name} {version}", True


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _name(entry: TaskEntry) -> str:
    return entry.name if entry.kind == "task" else f"--with {entry.name}"
