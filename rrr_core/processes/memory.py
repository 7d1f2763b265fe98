"""The machine's memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS, GROUPS_OF_THIS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def machine_bytes() -> int:
    """The machine's memory in bytes, whoever uses it, or a container's limit; 0 if it is not known, as on Windows."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return 0
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits()])


def _limits() -> Iterator[int]:
    """Those of this process's control groups and of those around them, of version 2 or 1: Docker's and Slurm's.

    A container may see its own group as the root, by whatever path the host knows it.
    """
    try:
        groups = GROUPS_OF_THIS.read_text()
    except OSError:
        return
    for line in groups.splitlines():
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            folder, name = CGROUPS, "memory.max"
        elif "memory" in kinds.split(","):
            folder, name = CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        inside = PurePosixPath(path.lstrip("/"))
        for group in (inside, *inside.parents):
            try:
                text = (folder / group / name).read_text().strip()
            except OSError:  # the root has none, and a container does not see those around it
                continue
            if text.isdecimal():  # not `max`
                yield int(text)
