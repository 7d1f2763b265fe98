"""What can be checked of a training run before it is needed: options, model, LoRA targets and room on the disk.

`rrr run` checks it before it mines, `rrr train` before it trains.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, Trainer
from transformers.pytorch_utils import Conv1D
from trl import GRPOConfig

from rrr_core.chat.format import ChatFormat
from rrr_core.config.limits import token_limit
from rrr_core.errors import ModelError, RrrError, nearest
from rrr_core.generation import ModelSettings, chosen_backend
from rrr_core.generation.finding import find_engine
from rrr_core.generation.hub import locate, silenced
from rrr_core.generation.model_files import load_tokenizer
from rrr_core.generation.transformers_backend import is_adapter
from rrr_core.runs.layout import TrainFolder
from rrr_core.text import one_line
from rrr_core.training.credit import check_context, credit_named
from rrr_core.training.engine import engine_identity
from rrr_core.training.options import grpo_config
from rrr_core.training.passes import check_length, context_of
from rrr_core.training.settings import TrainSettings
from rrr_core.training.shared_prompt import obstacle
from rrr_core.training.upstream import patch_upstream

ALL_LINEAR = "all-linear"
"""The LoRA target that peft reads as every linear module but the head."""
ADAPTABLE = (torch.nn.Linear, torch.nn.Embedding, torch.nn.Conv1d, torch.nn.Conv2d, Conv1D)
"""Modules that LoRA can adapt."""
COPIES = 3
"""Tensors of a checkpoint for each trained weight: the weight itself and Adam's two moments."""


def check_before_training(
    model: ModelSettings, folder: Path, settings: TrainSettings, say: Callable[[str], None], has_steps: bool = False
) -> None:
    """Check all that a training run in `folder` will need, without loading weights; `say` gets a notice.

    Raises RrrError or ModelError in one line.
    """
    patch_upstream()
    engine_identity(model)
    config = checked_config(model, folder, settings)
    if model.adapter is not None or is_adapter(model.named):
        raise trained_whole(model)
    network, chat = without_weights(model)
    settings = fitted(settings, chat, has_steps)
    check_network(settings, config, network)
    check_room(settings, folder, network, training_dtype(model))
    reason = obstacle(network) if settings.shared_prompt else None
    if reason:
        say(f"Training will compute each prompt once per reflection, since this model cannot share it: {reason}.")


def checked_config(model: ModelSettings, folder: Path, settings: TrainSettings) -> GRPOConfig:
    """TRL's configuration of the run. Raises RrrError for options that do not fit together or would change nothing."""
    return grpo_config(
        settings,
        folder,
        training_dtype(model),
        model.revision,
        processes=int(os.environ.get("WORLD_SIZE", "1")),
        off_policy=not find_engine(chosen_backend(model)).is_policy,
        device=model.device,
    )


def fitted(settings: TrainSettings, chat: ChatFormat, has_steps: bool = False) -> TrainSettings:
    """The settings with the token limits of a model of this chat format.

    Raises RrrError for a credit, several rounds, or a consolidation that it rules out; `has_steps` is the task's.
    """
    extends = chat.extends(chat.thinks)
    check_context(credit_named(settings.credit), extends, settings.rounds)
    if has_steps and not extends and (settings.only_first_tries or settings.mixes_first_tries):
        given = "--credit attempt" if settings.only_first_tries else f"--consolidate {settings.consolidate}"
        raise RrrError(
            f"{given} trains every action of a first try, and this model's chat template rewrites the earlier ones (it"
            " drops earlier thoughts): use --keep-thoughts, or leave it out."
        )
    if settings.distills and not extends:
        raise RrrError(
            "--consolidate distill learns the retry's sampled ids, and this model's chat template rewrites what comes"
            " before them (it drops earlier thoughts), so that they are not kept: use --keep-thoughts, or --consolidate"
            " reward."
        )
    return dataclasses.replace(
        settings,
        max_reflection_tokens=token_limit(settings.max_reflection_tokens, chat.thinks),
        max_retry_tokens=token_limit(settings.max_retry_tokens, chat.thinks),
        max_attempt_tokens=token_limit(settings.max_attempt_tokens, chat.thinks),
    )


def training_dtype(settings: ModelSettings) -> str:
    """The dtype of trained weights: float32 unless the user says otherwise; on a GPU TRL computes in bfloat16."""
    return "float32" if settings.dtype == "auto" else settings.dtype


def trained_whole(settings: ModelSettings) -> ModelError:
    """The error to raise for a model with an adapter."""
    return ModelError(
        f"{settings.adapter or settings.model} is an adapter, and training starts from whole weights:"
        " merge it into its model (peft's merge_and_unload) and name the merged folder as --model."
    )


def without_weights(settings: ModelSettings) -> tuple[Any, ChatFormat]:
    """The model's network on the meta device, which holds no numbers, and its chat format.

    Raises ModelError if its files cannot be read.
    """
    name = settings.named
    config, tokenizer = load_tokenizer(locate(name, settings.revision), name)
    dtype = getattr(torch, training_dtype(settings))
    with silenced(), torch.device("meta"):
        try:
            network = AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=False)
        except Exception as error:  # foreign architectures fail in their own ways
            raise ModelError(f"The model {name!r} cannot be trained: {one_line(error)}") from error
    return network, ChatFormat(tokenizer, settings.chat)


def check_network(settings: TrainSettings, config: GRPOConfig, network: Any) -> None:
    """Raise RrrError for options that this network, with weights or without, does not fit."""
    check_length(settings, context_of(network))
    if config.router_aux_loss_coef and not hasattr(network.config.get_text_config(), "output_router_logits"):
        raise RrrError(
            f"GRPOConfig field 'router_aux_loss_coef' would change nothing here: {type(network).__name__} has no"
            " experts to balance."
        )
    try:
        Trainer.get_optimizer_cls_and_kwargs(config, network)
    except (ImportError, ValueError, AssertionError) as error:
        raise RrrError(f"GRPOConfig field 'optim' cannot be {config.optim}: {one_line(error)}") from error
    if settings.lora_rank:
        check_targets(settings.lora_targets, network)


def check_targets(targets: tuple[str, ...], network: Any) -> None:
    """Raise RrrError for a LoRA target that is in no module of the network, or in one that LoRA cannot adapt."""
    if targets == (ALL_LINEAR,):
        return
    head = network.get_output_embeddings()
    modules = dict(network.named_modules())
    able = sorted({name.rpartition(".")[2] for name, each in modules.items() if isinstance(each, ADAPTABLE)})
    for target in targets:
        found = [each for name, each in modules.items() if name == target or name.endswith(f".{target}")]
        if not found:
            raise RrrError(
                f"--lora-targets {target}: {type(network).__name__} has no such module.{nearest(target, able)} It has"
                f" {', '.join(able)}."
            )
        if any(each is head for each in found):
            raise RrrError(
                f"--lora-targets {target}: the head cannot have an adapter, since log-probabilities are computed from"
                " its own weights. Leave it out."
            )
        if not all(isinstance(each, ADAPTABLE) for each in found):
            raise RrrError(
                f"--lora-targets {target}: LoRA cannot adapt a {type(found[0]).__name__}: name modules in it, such as"
                f" {', '.join(able[:3])}."
            )


def lora_config(settings: TrainSettings) -> LoraConfig | None:
    """The adapter's configuration; None if all weights are trained."""
    if not settings.lora_rank:
        return None
    targets = ALL_LINEAR if settings.lora_targets == (ALL_LINEAR,) else list(settings.lora_targets)
    return LoraConfig(
        r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules=targets, task_type="CAUSAL_LM"
    )


def check_room(settings: TrainSettings, folder: Path, network: Any, dtype: str) -> None:
    """Raise RrrError if the disk has less room than the run's checkpoints and its model take, about."""
    files = TrainFolder(folder)
    if files.summary.exists():
        return
    weights = trained_weights(settings, network) * getattr(torch, dtype).itemsize
    # A new checkpoint is whole before the oldest is removed.
    count = min(settings.keep_checkpoints + 1, -(-settings.steps // settings.save_every))
    needed = COPIES * weights * count + weights
    taken = sum(size_of(checkpoint) for checkpoint in files.checkpoints().values())
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free + taken
    if free < needed:
        raise RrrError(
            f"{folder}: {count} checkpoints and the trained model take about {_gigabytes(needed)}, and the disk has"
            f" {_gigabytes(free)} left: make room, use another folder, or lower --keep-checkpoints (now"
            f" {settings.keep_checkpoints})."
        )


def trained_weights(settings: TrainSettings, network: Any) -> int:
    """How many numbers are trained: all weights, or those of the LoRA adapters."""
    if not settings.lora_rank:
        return sum(weight.numel() for weight in network.parameters())
    head = network.get_output_embeddings()
    adapted = [
        module.weight
        for name, module in network.named_modules()
        if isinstance(module, ADAPTABLE)
        and module is not head
        and (
            isinstance(module, torch.nn.Linear | Conv1D)
            if settings.lora_targets == (ALL_LINEAR,)
            else any(name == target or name.endswith(f".{target}") for target in settings.lora_targets)
        )
    ]
    return sum(settings.lora_rank * sum(weight.shape[:2]) for weight in adapted)


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2g} GB" if size < 1e10 else f"{size / 1e9:.0f} GB"
