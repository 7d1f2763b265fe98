"""The libraries under us: their patches, each with its reason, applied once before a trainer is made; and quiet."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import accelerate.utils.environment
import torch
import trl.trainer.grpo_trainer
import trl.trainer.utils
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from datasets import disable_progress_bars
from transformers.utils import logging as transformers_logging

from rrr_core.training.head import HeadOfTrl

GATHER_HEAD = trl.trainer.utils.maybe_gather_lm_head_ctx
HAS_KERNEL = trl.trainer.utils._use_triton


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
    each of its passes gathers the whole model at once. Under ZeRO 3 it gathers every head's weight, also a
    model's that is not sharded yet, which has nothing to gather.

    And compute the head with fewer passes through memory, where TRL 1.16 has no kernel: on a CPU. There it scores
    every token of a prompt, too, since some devices compile code for each shape: a CPU does not.
    """
    accelerate.utils.environment.clear_environment = empty_environment
    trl.trainer.grpo_trainer.prepare_fsdp = shard_reference
    trl.trainer.utils.maybe_gather_lm_head_ctx = gathered_head
    trl.trainer.utils._ChunkedLogProbFunction = HeadOfTrl
    trl.trainer.utils._use_triton = scores_labels_alone


def gathered_head(*weights: Any) -> AbstractContextManager[None]:
    """TRL's context in which a head's sharded weights are whole; for whole ones it does nothing."""
    is_sharded = any(hasattr(weight, "ds_status") for weight in weights)
    context: AbstractContextManager[None] = GATHER_HEAD(*weights) if is_sharded else nullcontext()
    return context


def scores_labels_alone(device: torch.device) -> bool:
    """Whether TRL's head computes the logits of tokens that have a label, and of no others."""
    return device.type == "cpu" or bool(HAS_KERNEL(device))


def shard_reference(model: Any, accelerator: Any) -> Any:
    """The reference model with FSDP 2, sharded in place as accelerate shards the policy."""
    return fsdp2_prepare_model(accelerator, model.requires_grad_(False)).eval()


def prepare() -> None:
    """Prepare the libraries under us: patched where they crash, and quiet."""
    patch_upstream()
    _quiet()


def _quiet() -> None:
    """Keep libraries' notices off the terminal: what matters is in the metrics, and some notices quote model text."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.getLogger("trl").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    disable_progress_bars()
    warnings.filterwarnings("ignore", message=".*will be removed in v6", category=FutureWarning)
