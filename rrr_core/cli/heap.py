"""Memory that a network's tensors have freed, kept for the next ones.

On a CPU each tensor of some megabytes is otherwise given back to the system and taken anew, page by page, at every
operation: in `rrr demo` that was one twentieth of the time of writing texts.
"""

from __future__ import annotations

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's settings, from its malloc.h."""

KEPT_BYTES = 1 << 30
"""Free memory at the end of the heap above which it is given back."""

LARGE_BYTES = 32 << 20
"""Pieces from this size on are the system's own all the same, so that large ones leave no holes in the heap."""

USERS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")
"""Environment by which a user chooses an allocator or its settings."""


def keep_freed_memory() -> bool:
    """Have this process keep freed memory, where glibc is and the user chose nothing else; whether it does."""
    if sys.platform != "linux" or any(os.environ.get(name) for name in USERS_OWN):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGE_BYTES)) and bool(mallopt(TRIM_THRESHOLD, KEPT_BYTES))
