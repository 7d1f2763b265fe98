"""Mends of the libraries under us, each with its reason. They are applied once, before a trainer is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import accelerate.utils.environment


@contextmanager
def empty_environment() -> Iterator[None]:
    """`os.environ` as Python code sees it is empty, and the process's own environment is left alone."""
    with patch.object(os, "environ", {}):
        yield


def mend() -> None:
    """Keep accelerate from emptying the process's environment while other threads read it.

    For the defaults of its dataclasses accelerate 1.15 removes every variable with `unsetenv` and puts it back, each
    time an Accelerator is made. A native thread that calls `getenv` at that moment (torch's and Arrow's do) reads freed
    memory: seen as a segmentation fault once in some twenty-five training starts. The defaults are read through
    `os.environ`, so it is enough to empty that.
    """
    accelerate.utils.environment.clear_environment = empty_environment
