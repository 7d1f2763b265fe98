"""Whether a run's weights are sharded over its processes, and how: `--sharding`, or accelerate's own configuration.

`accelerate launch --config_file` writes its choice into the environment before we start. Both are respected, and may
not contradict each other.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from rrr_core.errors import RrrError

FSDP, DEEPSPEED, MEGATRON = "ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_MEGATRON_LM"
"""Set by `accelerate launch` for a configuration that shards."""
STAGE, CONFIG_FILE = "ACCELERATE_DEEPSPEED_ZERO_STAGE", "ACCELERATE_DEEPSPEED_CONFIG_FILE"
CPU = "ACCELERATE_USE_CPU"
VERSION, EFFICIENT, RESHARD = "FSDP_VERSION", "FSDP_CPU_RAM_EFFICIENT_LOADING", "FSDP_RESHARD_AFTER_FORWARD"
FIELDS, PRECISION = "ACCELERATE_CONFIG_DS_FIELDS", "ACCELERATE_MIXED_PRECISION"
_FSDP_REFUSED = {
    "FSDP_OFFLOAD_PARAMS": "fsdp_offload_params",
    "FSDP_ACTIVATION_CHECKPOINTING": "fsdp_activation_checkpointing (use --grpo gradient_checkpointing)",
    "FSDP_IGNORED_MODULES": "fsdp_ignored_modules",
}
_DEEPSPEED_REFUSED = {
    "ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE": "offload_optimizer_device",
    "ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE": "offload_param_device",
}
_ALWAYS_REFUSED = {
    "ACCELERATE_USE_PARALLELISM_CONFIG": "parallelism_config",
    "ACCELERATE_DYNAMO_BACKEND": "dynamo_config",
}
"""Variable → what sets it in accelerate's configuration. accelerate reads them by itself, or we would ignore them."""
_OFF = ("", "false", "0", "no", "none")


def launched_with(environment: Mapping[str, str]) -> str:
    """What accelerate's configuration chose: `none`, `fsdp2`, `zero2` or `zero3`. Raises RrrError for another.

    >>> launched_with({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"})
    'fsdp2'
    """

    def is_on(name: str) -> bool:
        return environment.get(name, "false").lower() in ("true", "1")

    refused = {
        **_ALWAYS_REFUSED,
        **(_FSDP_REFUSED if is_on(FSDP) else {}),
        **(_DEEPSPEED_REFUSED if is_on(DEEPSPEED) else {}),
    }
    for variable, key in refused.items():
        if environment.get(variable, "").lower() not in _OFF:
            raise RrrError(f"accelerate's configuration sets {key}, which rrr does not train with: leave it out.")
    if is_on(MEGATRON):
        raise RrrError("accelerate's configuration chose Megatron-LM, which rrr does not train with: use FSDP 2.")
    if is_on(DEEPSPEED):
        if environment.get(CONFIG_FILE, "none") != "none":
            raise RrrError(
                "accelerate's configuration names a DeepSpeed file of its own, whose stage and batch sizes may"
                " contradict rrr's: leave deepspeed_config_file out, and use zero_stage or --sharding."
            )
        stage = environment.get(STAGE, "2")
        if stage not in ("2", "3"):
            raise RrrError(f"accelerate's configuration chose ZeRO {stage}: rrr shards with ZeRO 2 or 3.")
        return f"zero{stage}"
    if is_on(FSDP):
        if (version := environment.get(VERSION, "1")) != "2":
            raise RrrError(
                f"accelerate's configuration chose FSDP {version}, whose flat parameters cannot be gathered one by one:"
                " set fsdp_version: 2."
            )
        return "fsdp2"
    return "none"


def chosen_sharding(wanted: str, processes: int, environment: Mapping[str, str]) -> str:
    """How this run shards its weights. Raises RrrError if that is contradictory, impossible, or would do nothing."""
    launched = launched_with(environment)
    if wanted != "none" and launched not in ("none", wanted):
        raise RrrError(
            f"--sharding {wanted} contradicts accelerate's configuration, which chose {launched}: leave one of them"
            " out."
        )
    sharding = launched if wanted == "none" else wanted
    if sharding == "none":
        return sharding
    who = f"--sharding {sharding}" if wanted != "none" else f"accelerate's configuration ({sharding})"
    check_shares_out(who, processes)
    if sharding != "fsdp2" and importlib.util.find_spec("deepspeed") is None:
        raise RrrError(f"{who} needs the package 'deepspeed': pip install deepspeed, or use --sharding fsdp2.")
    return sharding


def check_shares_out(who: str, processes: int) -> None:
    """Raise RrrError for a sharding, chosen by `who`, over so many processes that it would do nothing."""
    if processes < 2:
        raise RrrError(
            f"{who} would do nothing with one process: start several (--processes, or a launcher such as torchrun),"
            " or leave it out."
        )


def check_precision(environment: Mapping[str, str], *, bf16: bool, fp16: bool) -> None:
    """Raise RrrError if accelerate's configuration chose another mixed precision than this run has.

    Its `no` is what it writes where nothing was chosen, and contradicts nothing.
    """
    ours = "bf16" if bf16 else "fp16" if fp16 else "no"
    launched = environment.get(PRECISION, "no").lower()
    if launched not in ("no", ours):
        raise RrrError(
            f"accelerate's configuration chose mixed_precision {launched}, and this run trains with {ours}: set"
            f" mixed_precision: '{ours}' there, or choose with --grpo bf16 or fp16."
        )


def sharding_fields(sharding: str, environment: Mapping[str, str], *, accelerated: bool) -> dict[str, Any]:
    """The fields of TRL's GRPOConfig that shard weights; none for `none`."""
    if sharding == "fsdp2":
        return {
            "fsdp": True,
            "fsdp_config": {
                "version": 2,
                "reshard_after_forward": environment.get(RESHARD, "true").lower() != "false",
                # Each process loads whole weights: it tries them before they are sharded, and keeps a whole copy.
                "cpu_ram_efficient_loading": False,
                "activation_checkpointing": False,  # TRL's own, which leaves the names of weights as they are
                "state_dict_type": "FULL_STATE_DICT",
            },
            # Without it whole gradients would be kept from one micro-batch of a step to the next.
            "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}},
        }
    if sharding in ("zero2", "zero3"):
        # accelerate ignores DeepSpeed where the CPU was asked for. DeepSpeed uses it where there is nothing else.
        on_cpu = {} if accelerated else {"use_cpu": False, "accelerator_config": {"use_configured_state": True}}
        return {"deepspeed": _deepspeed(int(sharding[-1])), **on_cpu}
    return {}


ZERO3 = {
    "stage3_gather_16bit_weights_on_model_save": True,
    # It replaces torch's linear layer for all networks, those not sharded included, which it then fails on.
    "memory_efficient_linear": False,
}
"""What ZeRO 3 needs besides its stage."""


def _deepspeed(stage: int) -> dict[str, Any]:
    """DeepSpeed's configuration; what is `auto` transformers fills in."""
    return {
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        "zero_optimization": {
            "stage": stage,
            **(ZERO3 if stage == 3 else {}),
        },
        # The optimiser is torch's, as without sharding.
        "zero_allow_untested_optimizer": True,
    }


def join_on_cpu(environment: MutableMapping[str, str] = os.environ) -> None:
    """Join the processes of a launch that shards with DeepSpeed on CPUs.

    Left to itself accelerate 1.15 finds no backend there, and each process takes itself for the only one.
    """
    from accelerate import PartialState
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    environment.update({DEEPSPEED: "true", CPU: "false"})
    PartialState(backend="gloo")


@contextmanager
def own_environment(environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """accelerate's variables as they were, at the end: it sets them itself for every run that shards."""
    before = {name: environment.get(name) for name in (FSDP, DEEPSPEED, VERSION, EFFICIENT, STAGE, CPU, FIELDS)}
    environment[EFFICIENT] = "false"
    # The names of what the file sets for DeepSpeed: accelerate refuses any beside the configuration that we give it.
    environment.pop(FIELDS, None)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
