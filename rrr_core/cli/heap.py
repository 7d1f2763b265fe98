"""What a command that runs a model changes about its process's memory, to save time.

It keeps memory that tensors have freed for the next ones. Otherwise, on a CPU, every operation returns tensors of a few
megabytes to the system and takes them back page by page: in `rrr demo` that was one twentieth of the generation time.

It keeps less code for products of matrices. In bfloat16 oneDNN compiles each for its exact shape, so every number of
tokens in a batch is another, and torch keeps the last 1,024 in each of two caches, 0.6 MB a shape (torch 2.13).

And it looks for garbage in cycles less often. Importing torch, transformers and TRL makes a million objects that stay,
and at Python's default the collector goes through all there are seven times meanwhile: one second of five.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""glibc's numbers for its settings, from malloc.h."""

KEPT_BYTES = 1 << 30
"""Free memory at the end of the heap above which it is returned to the system."""

LARGE_BYTES = 32 << 20
"""Allocations of at least this size still come from the system directly, so large ones leave no holes in the heap."""

USERS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")
"""Environment variables with which a user chooses an allocator or its settings."""

PRODUCT_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""Environment variables with the sizes of oneDNN's cache and of the one in torch's bindings, read when torch starts."""

PRODUCTS = 256
"""Their entries. A pass needs some twenty, the same in every layer, and decoding more, one for each number of rows."""

NEW_OBJECTS = 10_000
"""New objects after which the collector looks at them; Python's default is 700, or 2,000 in newer versions."""


def collect_garbage_less_often() -> None:
    """Let this process make more objects before each collection. What is in no cycle is freed at once all the same."""
    young, *older = gc.get_threshold()
    if 0 < young < NEW_OBJECTS:  # 0 is never
        gc.set_threshold(NEW_OBJECTS, *older)


def keep_fewer_products() -> None:
    """Let torch keep less code for products, unless the user chose how much. It counts before torch is imported."""
    for name in PRODUCT_CACHES:
        os.environ.setdefault(name, str(PRODUCTS))


def keep_freed_memory() -> bool:
    """Make this process keep freed memory if it has glibc and the user chose nothing else. Returns whether it does."""
    if sys.platform != "linux" or any(os.environ.get(name) for name in USERS_OWN):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGE_BYTES)) and bool(mallopt(TRIM_THRESHOLD, KEPT_BYTES))
