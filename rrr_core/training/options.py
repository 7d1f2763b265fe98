"""Our settings as TRL's GRPOConfig; the user may set every other field of it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
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
from rrr_core.training.settings import TrainSettings

OURS = {
    "output_dir": "--out",
    "max_steps": "--steps",
    "num_generations": "--group-size",
    "per_device_train_batch_size": "--micro-batch-size",
    "gradient_accumulation_steps": "--batch-size",
    "generation_batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "lr_scheduler_type": "--scheduler",
    "warmup_steps": "--warmup-ratio",
    "warmup_ratio": "--warmup-ratio",
    "beta": "--kl",
    "temperature": "--temperature",
    "max_completion_length": "--max-reflection-tokens",
    "save_steps": "--save-every",
    "save_total_limit": "--keep-checkpoints",
    "logging_steps": "--log-every",
    "report_to": "--report-to",
    "seed": "--seed",
    "data_seed": "--seed",
}
"""Fields of GRPOConfig with an option of their own."""
FIXED = {
    "remove_unused_columns": "the failure's column has to reach the reward",
    "model_init_kwargs": "the model is set with --model, --revision and --dtype",
    "trust_remote_code": "code from a model's repository is never run",
    "use_vllm": "the engine is chosen with --backend",
    "use_transformers_continuous_batching": "this version generates with its own batches",
    "resume_from_checkpoint": "a run resumes from its folder automatically",
    "disable_tqdm": "progress is shown by the command line",
    "shuffle_dataset": "failures are always shuffled by the seed",
    "eval_strategy": "evaluation is `rrr eval`'s",
    "push_to_hub": "upload the finished model yourself",
}
"""Fields that cannot be set, and why not."""
OWN_VLLM = re.compile(r"vllm_(?!importance_sampling)")
"""Fields of the vLLM that TRL would start; ours is configured with --backend, --gpu-share and --base-url."""

LOSSES = ("bnpo", "cispo", "dapo", "dr_grpo", "grpo", "luspo", "sapo", "vespo")
"""The losses of TRL 1.16, which rejects an unknown one only in the middle of its first step."""


def parse_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """The user's GRPOConfig fields as typed values. A text that is valid JSON is parsed.

    Raises RrrError for a field that does not exist (naming the nearest), has an option of its own, or gets a value of
    another type.

    >>> parse_fields({"epsilon": "0.3", "loss_type": "grpo", "bf16": "false"})
    {'epsilon': 0.3, 'loss_type': 'grpo', 'bf16': False}
    """
    hints = typing.get_type_hints(GRPOConfig)
    names = [field.name for field in dataclasses.fields(GRPOConfig) if field.init]
    parsed: dict[str, Any] = {}
    for name, value in given.items():
        if name in OURS:
            raise RrrError(f"GRPOConfig field {name!r}: set it with {OURS[name]}, not with --grpo.")
        if name in FIXED:
            raise RrrError(f"GRPOConfig field {name!r} cannot be set: {FIXED[name]}.")
        if OWN_VLLM.match(name) and name in names:
            raise RrrError(
                f"GRPOConfig field {name!r} cannot be set: vLLM is set up with --backend, --gpu-share and --base-url."
            )
        if name not in names:
            raise RrrError(f"GRPOConfig has no field {name!r}.{nearest(name, names)}")
        parsed[name] = _typed(name, value, hints[name])
    if (loss := parsed.get("loss_type", "dapo")) not in LOSSES:
        raise RrrError(f"TRL has no loss_type {loss!r}.{nearest(loss, LOSSES)} Choose one of {', '.join(LOSSES)}.")
    return parsed


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


def grpo_config(settings: TrainSettings, folder: Path, dtype: str, revision: str | None, processes: int) -> GRPOConfig:
    """TRL's configuration for one process of `processes`.

    Raises RrrError if batch, micro-batch, group and number of processes do not divide one another.
    """
    user = parse_fields(settings.grpo)
    if settings.on_policy_attempts and settings.refresh_every:
        raise RrrError(
            "--on-policy-attempts retries failures at every step, --refresh-every only every few: give one of them."
        )
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
    at_once = settings.micro_batch_size * (user.get("steps_per_generation") or settings.batch_size // together)
    whole_groups = settings.on_policy_attempts or settings.refresh_every or settings.zero_variance == "resample"
    if whole_groups and at_once % settings.group_size:
        raise RrrError(
            f"A process samples {at_once} reflections at once, not whole groups of {settings.group_size}, which"
            " --on-policy-attempts, --refresh-every and --zero-variance resample need: change --batch-size,"
            " --micro-batch-size or --group-size."
        )
    if settings.scheduler not in [kind.value for kind in SchedulerType]:
        known = [kind.value for kind in SchedulerType]
        raise RrrError(f"transformers has no schedule {settings.scheduler!r}.{nearest(settings.scheduler, known)}")
    check_trackers(settings.report_to)
    accelerated = torch.accelerator.is_available()
    fields: dict[str, Any] = {
        "bf16": accelerated and torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        "gradient_checkpointing": accelerated,
        "dataloader_pin_memory": accelerated,
        "use_cpu": not accelerated,
        **user,
    }
    try:
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
            max_completion_length=settings.max_reflection_tokens,
            model_init_kwargs={"dtype": dtype, "revision": revision, "use_safetensors": True},
            save_strategy="steps",
            save_steps=settings.save_every,
            save_total_limit=settings.keep_checkpoints,
            logging_steps=settings.log_every,
            report_to=list(settings.report_to) or "none",
            seed=settings.seed,
            data_seed=settings.seed,
            remove_unused_columns=False,
            disable_tqdm=True,
            **fields,
        )
    except ValueError as error:
        raise RrrError(f"TRL refuses these training options: {' '.join(str(error).split())}") from error
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
