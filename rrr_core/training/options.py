"""Our settings as TRL's GRPOConfig; the user may set the other fields of it that act."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK, get_available_reporting_integrations
from transformers.trainer_utils import SchedulerType
from trl import GRPOConfig

from rrr_core.errors import RrrError, nearest
from rrr_core.processes.world import World, world_of
from rrr_core.training.advantages import is_by_round
from rrr_core.training.consolidation import check_consolidation
from rrr_core.training.grpo_fields import ACTS, OPTIONS, REFUSED, SAMPLED, Acts, Situation
from rrr_core.training.passes import longest_completion
from rrr_core.training.settings import COLLECTIVE_TIMEOUT, TrainSettings
from rrr_core.training.sharding import check_precision, chosen_sharding, join_on_cpu, own_environment, sharding_fields

CHECKPOINTING = "activation_checkpointing"
"""The field that has activations computed again: before transformers 5.23 the other name is the only one."""
if CHECKPOINTING not in {field.name for field in dataclasses.fields(GRPOConfig)}:
    CHECKPOINTING = "gradient_checkpointing"


def parse_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """The user's GRPOConfig fields as typed values. A text that is valid JSON is parsed.

    Raises RrrError for a field that does not exist (naming the nearest), has an option of its own, changes nothing
    here, or gets a value of another type or out of range.

    >>> parse_fields({"weight_decay": "0.3", "loss_type": "grpo", "bf16": "false"})
    {'weight_decay': 0.3, 'loss_type': 'grpo', 'bf16': False}
    """
    hints = typing.get_type_hints(GRPOConfig)
    names = [field.name for field in dataclasses.fields(GRPOConfig) if field.init]
    parsed: dict[str, Any] = {}
    for name, value in given.items():
        if name in OPTIONS:
            raise RrrError(f"GRPOConfig field {name!r}: set it with {OPTIONS[name]}, not with --grpo.")
        if name in REFUSED:
            raise RrrError(f"GRPOConfig field {name!r} cannot be set: {REFUSED[name]}.")
        if name not in names:
            raise RrrError(
                f"GRPOConfig has no field {name!r}.{nearest(name, [each for each in names if each in ACTS])}"
            )
        if name not in ACTS:
            raise RrrError(f"GRPOConfig field {name!r} is newer than this rrr, which does not know whether it acts.")
        parsed[name] = _typed(name, value, hints[name])
        _check_range(name, parsed[name], ACTS[name])
    return parsed


def check_fields(now: Situation) -> None:
    """Raise RrrError for a field that would change nothing beside the other settings, or that does not fit them."""
    for name in now.fields:
        only = ACTS[name].only
        if only is not None and not only.holds(now):
            raise RrrError(f"GRPOConfig field {name!r} would change nothing here: it acts only {only.said}.")
    if is_by_round(now.settings) and now.get("multi_objective_aggregation", "") == "normalize_then_sum":
        raise RrrError(
            "GRPOConfig field 'multi_objective_aggregation' cannot be normalize_then_sum with several rounds, whose"
            " advantages are each round's own: leave it out, or use --credit passing."
        )
    mode = now.get("vllm_importance_sampling_mode", "sequence_mask")
    corrects = now.off_policy and now.get("vllm_importance_sampling_correction", True)
    if now.loss == "vespo" and corrects and not mode.startswith("token"):
        raise RrrError(
            "loss_type vespo weighs single tokens: set --grpo vllm_importance_sampling_mode=token_truncate or"
            " token_mask."
        )


def drawn_by(settings: TrainSettings) -> dict[str, Any]:
    """The user's fields that say how texts are drawn, for `Sampling`."""
    given = {name: value for name, value in settings.grpo.items() if name in SAMPLED}
    return {name: value for name, value in parse_fields(given).items() if value is not None}


def _check_range(name: str, value: Any, acts: Acts) -> None:
    if acts.choices and str(value).lower() not in acts.choices:
        known = ", ".join(acts.choices)
        raise RrrError(
            f"GRPOConfig field {name!r} must be one of {known}, not {value!r}.{nearest(str(value), acts.choices)}"
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if not math.isfinite(value):
        raise RrrError(f"GRPOConfig field {name!r} must be a finite number, not {value}.")
    if acts.minimum is not None and value < acts.minimum:
        raise RrrError(f"GRPOConfig field {name!r} must be at least {acts.minimum:g}, not {value:g}.")
    if acts.maximum is not None and value > acts.maximum:
        raise RrrError(f"GRPOConfig field {name!r} must be at most {acts.maximum:g}, not {value:g}.")


def _typed(name: str, value: Any, hint: Any) -> Any:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):  # anything but JSON stays a text
            value = json.loads(value)
    allowed = _plain_types(hint)
    if isinstance(value, int) and not isinstance(value, bool) and float in allowed and int not in allowed:
        value = float(value)
    if allowed and type(value) not in allowed:
        if str in allowed and not isinstance(value, (dict, list)):
            return str(value)
        wanted = " or ".join(sorted("none" if kind is types.NoneType else kind.__name__ for kind in allowed))
        raise RrrError(f"GRPOConfig field {name!r} takes {wanted}, not {value!r}.")
    return value


def _plain_types(hint: Any) -> set[type]:
    """The JSON types a hint admits; empty if it admits types that JSON lacks."""
    members = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    plain = {typing.get_origin(member) or member for member in members}
    return plain if plain <= {int, float, str, bool, list, dict, types.NoneType} else set()


def check_trackers(names: Sequence[str]) -> None:
    """Raise RrrError for a tracker unknown to transformers, or one without its package installed."""
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            raise RrrError(f"transformers knows no tracker {name!r}.{nearest(name, INTEGRATION_TO_CALLBACK)}")
        if name not in get_available_reporting_integrations():
            raise RrrError(f"--report-to {name} needs its package: pip install {name}")


def grpo_config(
    settings: TrainSettings,
    folder: Path,
    dtype: str,
    revision: str | None,
    processes: int,
    *,
    off_policy: bool = False,
    device: str | None = None,
) -> GRPOConfig:
    """TRL's configuration for one process of `processes`, on the requested device.

    `off_policy` says that another program than the policy may write the texts. Raises RrrError for settings that do
    not fit together, or fields that would change nothing.
    """
    user = parse_fields(settings.grpo)
    check_fields(Situation(settings, user, processes, off_policy, dtype))
    if settings.on_policy_attempts and settings.refresh_every:
        raise RrrError(
            "--on-policy-attempts retries failures at every step, --refresh-every only every few: give one of them."
        )
    if processes == 1 and settings.collective_timeout != COLLECTIVE_TIMEOUT:
        raise RrrError("--collective-timeout acts only with several processes: start several, or leave it out.")
    together = settings.micro_batch_size * processes
    if settings.batch_size % together:
        raise RrrError(
            f"batch size {settings.batch_size} is not a multiple of micro-batch size {settings.micro_batch_size} on"
            f" {processes} process{'es' if processes > 1 else ''}: change --batch-size or --micro-batch-size."
        )
    if settings.batch_size % settings.group_size:
        raise RrrError(
            f"batch size {settings.batch_size} is not a multiple of group size {settings.group_size}: change one."
        )
    passes = user.get("steps_per_generation") or settings.batch_size // settings.micro_batch_size
    at_once = settings.micro_batch_size * passes
    if at_once % settings.group_size:
        raise RrrError(
            f"{at_once} reflections are sampled at once, which are not whole groups of {settings.group_size}: change"
            " --micro-batch-size, --group-size or steps_per_generation."
        )
    check_shares(settings, passes, processes)
    check_consolidation(settings, at_once // settings.group_size)
    if settings.scheduler not in [kind.value for kind in SchedulerType]:
        known = [kind.value for kind in SchedulerType]
        raise RrrError(f"transformers has no schedule {settings.scheduler!r}.{nearest(settings.scheduler, known)}")
    check_trackers(settings.report_to)
    accelerated = _accelerated(device)
    sharding = chosen_sharding(settings.sharding, processes, os.environ)
    checkpointed = {CHECKPOINTING: accelerated} if "gradient_checkpointing" not in user else {}
    fields: dict[str, Any] = {
        "bf16": accelerated and has_bfloat16(),
        **checkpointed,
        "dataloader_pin_memory": accelerated,
        "use_cpu": not accelerated,
        # Ours ends the run first, and says who waited where.
        "ddp_timeout": int(settings.collective_timeout) + 60,
        **sharding_fields(sharding, os.environ, accelerated=accelerated),
        **user,
        # The user's is that of a single process: what is sampled at once is the same on any number.
        **({"steps_per_generation": passes // processes} if "steps_per_generation" in user else {}),
    }
    try:
        with own_environment():
            if sharding.startswith("zero") and not accelerated:
                join_on_cpu()
            config = GRPOConfig(
                output_dir=str(folder),
                max_steps=settings.steps,
                per_device_train_batch_size=settings.micro_batch_size,
                gradient_accumulation_steps=settings.batch_size // together,
                num_generations=settings.group_size,
                learning_rate=settings.learning_rate,
                lr_scheduler_type=settings.scheduler,
                warmup_steps=round(settings.warmup_ratio * settings.steps),
                beta=settings.kl,
                temperature=settings.temperature,
                # What dr_grpo divides by. One round's has always been this, whatever is trained.
                max_completion_length=settings.max_reflection_tokens
                if settings.rounds == 1 and not settings.only_first_tries
                else longest_completion(settings),
                model_init_kwargs={"dtype": dtype, "revision": revision, "use_safetensors": True},
                save_strategy="steps",
                save_steps=settings.save_every,
                logging_steps=settings.log_every,
                report_to=list(settings.report_to) or "none",
                seed=settings.seed,
                data_seed=settings.seed,
                remove_unused_columns=False,
                disable_tqdm=True,
                **fields,
            )
    except (ValueError, ImportError) as error:
        raise RrrError(f"TRL refuses these training options: {' '.join(str(error).split())}") from error
    check_precision(os.environ, bf16=bool(config.bf16), fp16=bool(config.fp16))
    lasts = -(-config.steps_per_generation * config.num_iterations // config.gradient_accumulation_steps)
    if settings.save_every % lasts:
        raise RrrError(
            f"one generation lasts {lasts} steps, so a run can resume exactly only at multiples of that:"
            f" set --save-every to one, not to {settings.save_every}."
        )
    if settings.refresh_every % lasts:
        raise RrrError(
            f"one generation lasts {lasts} steps, so failures can be refreshed only at multiples of that:"
            f" set --refresh-every to one, not to {settings.refresh_every}."
        )
    return config


def check_shares(settings: TrainSettings, passes: int, processes: int) -> None:
    """Raise RrrError if what `passes` forward passes of a single process compute cannot be shared by `processes`.

    Where one generation serves several optimiser steps, each of these takes whole groups of every process.
    """
    if passes % processes:
        raise RrrError(
            f"GRPOConfig field 'steps_per_generation' is {passes}, which {processes} processes cannot share: set it to"
            f" a multiple of {processes}."
        )
    share = settings.batch_size // processes
    if settings.micro_batch_size * passes > settings.batch_size and share % settings.group_size:
        raise RrrError(
            f"One generation serves several steps, and each of {processes} processes has {share} of a step's"
            f" reflections, not whole groups of {settings.group_size}: change --batch-size or --group-size, or lower"
            " steps_per_generation."
        )


def check_accelerators(world: World, count: int) -> None:
    """Raise RrrError if a machine has more processes than accelerators: in training, none can be shared."""
    if world.local_size > max(count, 1):
        some = f"{count} accelerator{'' if count == 1 else 's'}"
        raise RrrError(
            f"{world.local_size} processes train on this machine, which has {some}: start as many, or train with"
            " --device cpu."
        )


def has_bfloat16() -> bool:
    """Whether there is a GPU that computes in bfloat16."""
    return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())


def _accelerated(device: str | None) -> bool:
    """Whether training runs on the machine's accelerator. Raises RrrError for one that the trainer would not use."""
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is not None and (device is None or torch.device(device).type != "cpu"):
        check_accelerators(world_of(os.environ), torch.accelerator.device_count())
    if device is None or found is None:
        return found is not None
    wanted = torch.device(device)
    if wanted.type != "cpu" and wanted.index:
        raise RrrError(
            f"--device {device}: a training process uses the first {wanted.type} device it sees: choose that with"
            " CUDA_VISIBLE_DEVICES, and leave --device out."
        )
    return str(wanted.type) != "cpu"
