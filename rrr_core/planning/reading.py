"""Reads what a plan needs of a run without loading weights: its tasks, its model's shape, its prompts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrr_core.config.limits import token_limit
from rrr_core.config.naming import options_of
from rrr_core.evaluation.deciding import make_deciders
from rrr_core.generation import chosen_backend
from rrr_core.generation.finding import find_engine
from rrr_core.pipeline.job import opened
from rrr_core.pipeline.opening import OpenTask
from rrr_core.pipeline.settings import RunSettings
from rrr_core.planning.estimate import RunPart
from rrr_core.planning.machine import Device, device_for
from rrr_core.planning.memory import Setup
from rrr_core.planning.rendered import Rendered, check_fits, rendered
from rrr_core.planning.settings import PlanOptions
from rrr_core.planning.shape import BYTES, shape_of, stored_dtype, trainable_of
from rrr_core.planning.speeds import Speeds
from rrr_core.planning.stages import DeciderTexts, no_deciders, of_deciders
from rrr_core.planning.training import Step
from rrr_core.planning.work import Engine
from rrr_core.training.shares import shares_of

if TYPE_CHECKING:
    from rrr_core.hookspecs import Model

BATCH_TOKENS = {True: 32768, False: 65536}
"""Whether it is a CPU → tokens of a batch, as `rrr_core.generation.transformers_engine` has them; a test compares."""
PREFIX_BYTES, PREFIX_SHARE = float(1 << 30), 0.1
"""Limits of the prefix cache, as there."""
VLLM_SHARE = 0.3
"""Of a GPU's memory, what vLLM takes beside training unless `--gpu-share` says otherwise."""
MOMENTS = {"adafactor": 0.05, "sgd": 0.0, "rmsprop": 1.0, "adagrad": 1.0, "lion": 1.0}
"""Optimiser → numbers that it keeps for each weight; two for all others, and a quarter of that with 8 bits."""
NO_SPEED = Speeds(0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class ReadRun:
    """What is known of a run before anything is sampled."""

    tasks: list[OpenTask]
    settings: RunSettings
    """With the model that was chosen and the token limits in use."""
    device: Device
    run: RunPart
    """Without speeds."""
    prompts: list[Rendered]
    deciders: list[DeciderTexts]
    shares: list[float]
    model: Model


def read_run(settings: RunSettings, options: PlanOptions) -> ReadRun:
    """Read a run's tasks and its model's configuration. Raises whatever `rrr run` would raise before it starts."""
    tasks, settings = opened(settings, None)
    from rrr_core.generation.model_files import read_files
    from rrr_core.training.options import grpo_config, parse_fields
    from rrr_core.training.preflight import check_network, fitted, training_dtype, without_weights
    from rrr_core.training.sharding import check_shares_out
    from rrr_core.training.upstream import patch_upstream

    patch_upstream()
    device = device_for(options, settings.model.device)
    engine = find_engine(chosen_backend(settings.model))
    dtype, train = training_dtype(settings.model), settings.train
    has_steps = any(each.task.has_steps for each in tasks)
    with options_of("train"):
        if train.sharding != "none":
            check_shares_out(f"--sharding {train.sharding}", options.processes)
        config = grpo_config(
            replace(train, sharding="none"),  # the processes that would share the weights are not here to be joined
            Path(),
            dtype,
            settings.model.revision,
            options.processes,
            off_policy=not engine.is_policy,
            device=settings.model.device,
        )
        shares = shares_of(train.weights, [each.name if len(tasks) > 1 else None for each in tasks])
    network, chat = without_weights(settings.model)
    with options_of("train"):
        train = fitted(train, chat, has_steps)
        check_network(train, config, network)
        fields = parse_fields(train.grpo)
    settings = replace(settings, train=train, **_limited(settings, chat.thinks))
    files, shape = read_files(settings.model, digest=False), shape_of(network)
    wanted = {"train": settings.mine.rows, "test": settings.eval.rows}
    prompts = [rendered(each, chat, files.model, wanted) for each in tasks]
    for each, found in zip(tasks, prompts, strict=True):
        check_fits(found, shape.context, each.name)
    from rrr_core.training.shared_prompt import obstacle

    step = Step(
        train, fields, options.processes, train.shared_prompt and obstacle(network) is None, not engine.is_policy
    )
    setup = _setup(settings, options, device, trainable_of(train, network), fields)
    stored = stored_dtype(settings.model)
    setup = replace(setup, stored_bytes=BYTES[stored])
    if device.is_cpu and engine.is_policy:
        sampling = "bfloat16" if fields.get("bf16") else dtype
        packed, in_training = (_packed(network, each, options.processes) for each in (stored, sampling))
        setup = replace(setup, packed=packed, packed_in_training=in_training)
    run = RunPart(shape, setup, step, Engine(settings.model.batch_tokens or BATCH_TOKENS[device.is_cpu]), NO_SPEED)
    return ReadRun(
        tasks,
        settings,
        device,
        run,
        prompts,
        [_deciders(each, settings) for each in tasks],
        [float(shares[each.name if len(tasks) > 1 else None]) for each in tasks],
        files.model,
    )


def _limited(settings: RunSettings, thinks: bool) -> dict[str, Any]:
    return {
        name: dataclasses.replace(section, max_tokens=token_limit(section.max_tokens, thinks))
        for name, section in (("mine", settings.mine), ("eval", settings.eval))
    }


def _setup(
    settings: RunSettings, options: PlanOptions, device: Device, trainable: int, fields: dict[str, Any]
) -> Setup:
    from rrr_core.generation.products import is_faster
    from rrr_core.training.preflight import training_dtype

    train, weights = settings.train, BYTES[training_dtype(settings.model)]
    checkpointed = fields.get("activation_checkpointing", fields.get("gradient_checkpointing", not device.is_cpu))
    share = settings.model.gpu_share or VLLM_SHARE
    beside = share * device.memory if chosen_backend(settings.model) == "vllm" and not settings.model.base_url else 0.0
    return Setup(
        bytes_per_weight=weights,
        stored_bytes=weights,
        autocast=not device.is_cpu and bool(fields.get("bf16", True) or fields.get("fp16", False)),
        checkpointed=bool(checkpointed),
        trainable=trainable,
        reference=train.kl > 0 and train.lora_rank == 0,
        moments=_moments(str(fields.get("optim", "adamw_torch"))),
        sharding=train.sharding,
        processes=options.processes,
        on_cpu=device.is_cpu,
        compiles=device.is_cpu and is_faster(),
        prefix_limit=PREFIX_BYTES if device.is_cpu else PREFIX_SHARE * device.memory,
        other_engine=beside,
    )


def _packed(network: Any, dtype: str, processes: int) -> float:
    """Bytes of a process's packed copies of the network's weights in this type."""
    import torch

    from rrr_core.generation.packed_weights import packed_bytes

    return float(packed_bytes(network, getattr(torch, dtype), processes))


def _moments(optimiser: str) -> float:
    known = next((count for name, count in MOMENTS.items() if name in optimiser), 2.0)
    return known / 4 if "8bit" in optimiser else known


def _deciders(each: OpenTask, settings: RunSettings) -> DeciderTexts:
    deciders = make_deciders(each.task, settings.eval.decide, verify=settings.verify)
    try:
        texts, samples = sum(one.texts for one in deciders), max((one.samples for one in deciders), default=0)
    finally:
        for one in deciders:
            one.close()
    return of_deciders(texts, samples) if deciders else no_deciders
