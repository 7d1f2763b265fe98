"""Patches of the libraries under us, each with its reason, applied once before a trainer is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import accelerate.utils.environment
import trl.trainer.grpo_trainer
from accelerate.utils.fsdp_utils import fsdp2_prepare_model


@contextmanager
def empty_environment() -> Iterator[None]:
    """An empty `os.environ` for Python code; the process's own environment is left alone."""
    with patch.object(os, "environ", {}):
        yield


def patch_upstream() -> None:
    """Keep accelerate from emptying the process's environment while other threads read it.

    Whenever an Accelerator is made, accelerate 1.15 removes every variable with `unsetenv` and puts it back, to get the
    defaults of its dataclasses. A native thread that calls `getenv` meanwhile (torch's and Arrow's do) reads freed
    memory: a segmentation fault in about one of twenty-five training starts. The defaults are read through
    `os.environ`, so emptying that is enough.

    And have TRL shard the reference model layer by layer, as the policy. TRL 1.16 makes it one FSDP 2 unit, so that
    each of its passes gathers the whole model at once.
    """
    accelerate.utils.environment.clear_environment = empty_environment
    trl.trainer.grpo_trainer.prepare_fsdp = shard_reference


def shard_reference(model: Any, accelerator: Any) -> Any:
    """The reference model with FSDP 2, sharded in place as accelerate shards the policy."""
    return fsdp2_prepare_model(accelerator, model.requires_grad_(False)).eval()
