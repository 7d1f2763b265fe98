"""A trainer whose weights may be sharded over its processes, with the checkpoints of one that is not.

A checkpoint holds whole weights and a whole optimiser state, under the names and in the order of a run without
sharding. So a run resumes on another number of processes, and with another sharding or none.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from safetensors import safe_open
from torch.distributed.tensor import DTensor, distribute_tensor
from trl import GRPOTrainer

from rrr_core.generation.kv_cache import without_adapters
from rrr_core.training.zero_state import take_states, whole_states

WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
"""A checkpoint's weights: whole ones, or those of a LoRA adapter."""
INDEX = "model.safetensors.index.json"
OPTIMIZER, SCHEDULER = "optimizer.pt", "scheduler.pt"


class ShardedTrainer(GRPOTrainer):  # type: ignore[misc]
    """TRL's trainer with FSDP2 on every device, and checkpoints that do not depend on the sharding."""

    _is_prepared = False
    """Whether the weights were sharded: that is done when training begins."""

    def create_accelerator_and_postprocess(self) -> None:
        """As transformers' own; and on a CPU, where accelerate 1.15 ignores FSDP and trains data-parallel instead."""
        super().create_accelerator_and_postprocess()
        if self.args.fsdp_plugin_args is None:
            return
        state = self.accelerator.state
        if getattr(state, "fsdp_plugin", None) is None:
            state.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            self.is_fsdp_enabled = True

    @property
    def shards_weights(self) -> bool:
        """Whether each process holds only a part of the weights; ZeRO 2 shards gradients and optimiser state alone."""
        return bool(self.is_fsdp_enabled or self.zero_stage == 3)

    @property
    def zero_stage(self) -> int:
        """DeepSpeed's stage: 2 or 3, and 0 without DeepSpeed."""
        return int(self.accelerator.state.deepspeed_plugin.zero_stage) if self.is_deepspeed_enabled else 0

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """As transformers' own, with tied weights once: gathered one by one, they no longer share their memory."""
        if state_dict is not None:
            tied = without_adapters(self.accelerator.unwrap_model(self.model)).all_tied_weights_keys
            state_dict = {name: tensor for name, tensor in state_dict.items() if name not in tied}
        super()._save(output_dir, state_dict)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As transformers' own, also where no step was left to train, so that the weights are still whole."""
        if self._is_prepared or not (self.is_fsdp_enabled or self.zero_stage):
            super().save_model(output_dir, _internal_call)
        elif self.args.should_save:
            self._save(output_dir)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled and not self.zero_stage:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        keeps = self.args.should_save
        state = self._zero_state(keeps) if self.zero_stage else whole_state(self.optimizer.optimizer, keeps)
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMIZER)
            torch.save(for_groups(self.lr_scheduler.state_dict(), len(self._groups)), Path(output_dir) / SCHEDULER)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """transformers' own. Its parameters and groups are remembered: DeepSpeed puts flat ones in their place."""
        made = super().create_optimizer(model)
        self._optimised = [weight for group in made.param_groups for weight in group["params"]]
        self._groups = copy.deepcopy(made.state_dict()["param_groups"])
        return made

    def _zero_state(self, keeps: bool) -> dict[str, Any]:
        """The `state_dict` that the optimiser would have without DeepSpeed, as `whole_state` gives it."""
        zero = self.model_wrapped.optimizer
        numbers = {id(weight): number for number, weight in enumerate(self._optimised)}
        state: dict[int, dict[str, Any]] = {}
        for weight, values in whole_states(zero, self.zero_stage):
            if keeps:
                state[numbers[id(weight)]] = {name: _on_cpu(value) for name, value in values.items()}
        rate = zero.optimizer.param_groups[0]["lr"]
        return {"state": dict(sorted(state.items())), "param_groups": [{**one, "lr": rate} for one in self._groups]}

    def _prepare_for_training(self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: str | None) -> Any:
        """As transformers' own; with DeepSpeed a checkpoint's weights are loaded before, and its state after."""
        self._is_prepared = True
        if resume_from_checkpoint is None or not self.zero_stage:
            return super()._prepare_for_training(max_steps, train_dataloader, resume_from_checkpoint)
        checkpoint = Path(resume_from_checkpoint)
        load_weights(self.model, checkpoint)
        prepared = super()._prepare_for_training(max_steps, train_dataloader, None)
        state = torch.load(checkpoint / OPTIMIZER, map_location="cpu", mmap=True, weights_only=True)
        numbers = {id(weight): number for number, weight in enumerate(self._optimised)}
        zero = self.model_wrapped.optimizer
        take_states(zero, self.zero_stage, lambda weight: state["state"].get(numbers[id(weight)]))
        for group in zero.optimizer.param_groups:
            group["lr"] = state["param_groups"][0]["lr"]
        schedule = torch.load(checkpoint / SCHEDULER, weights_only=True)
        # DeepSpeed leaves out a group without parameters, as that of LoRA without weight decay.
        self.lr_scheduler.load_state_dict(for_groups(schedule, len(self.lr_scheduler.base_lrs)))
        return prepared

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not self.is_fsdp_enabled and not self.zero_stage:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        load_weights(self.model if model is None else model, Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if not self.is_fsdp_enabled or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        state = torch.load(Path(checkpoint) / OPTIMIZER, map_location="cpu", mmap=True, weights_only=True)
        load_state(self.optimizer.optimizer, state)
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER, weights_only=True))


def whole_state(optimizer: torch.optim.Optimizer, keeps: bool) -> dict[str, Any]:
    """The optimiser's `state_dict` with whole tensors, on the CPU; without its state where it is not kept.

    All processes have to call it together.
    """
    plain = optimizer.state_dict()
    state: dict[int, dict[str, Any]] = {}
    for number, values in plain["state"].items():
        wholes = {name: value.full_tensor() if isinstance(value, DTensor) else value for name, value in values.items()}
        if keeps:
            state[number] = {name: _on_cpu(value) for name, value in wholes.items()}
    return {**plain, "state": state}


def _on_cpu(value: Any) -> Any:
    # A copy: a view would be written with all of the tensor that it is a part of.
    return value.detach().cpu().clone() if isinstance(value, torch.Tensor) else value


def load_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Give the optimiser a state of whole tensors, sharded as its parameters are."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    parts = {
        number: {name: as_sharded(value, weights[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": parts})


def for_groups(schedule: Mapping[str, Any], groups: int) -> dict[str, Any]:
    """A learning-rate schedule's state for so many groups of parameters, which all have one rate.

    >>> for_groups({"last_epoch": 3, "base_lrs": [0.1, 0.1]}, 1)
    {'last_epoch': 3, 'base_lrs': [0.1]}
    """
    return {name: (value * groups)[:groups] if isinstance(value, list) else value for name, value in schedule.items()}


def load_weights(network: Any, checkpoint: Path) -> None:
    """Load a checkpoint's whole weights, or its adapter's, into a network whose weights may be sharded."""
    known = dict(network.named_parameters(remove_duplicate=False))
    by_key = {name: name for name in known} | {name.replace(".default.", "."): name for name in known}
    with torch.no_grad():
        for key, tensor in tensors_of(checkpoint):
            weight = known[by_key[key]]
            weight.copy_(as_sharded(tensor.to(weight.dtype), weight))


def tensors_of(checkpoint: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and tensor of each weight in a checkpoint, one at a time."""
    names = [name for name in WEIGHTS if (checkpoint / name).is_file()]
    if not names:
        index = json.loads((checkpoint / INDEX).read_text(encoding="utf-8"))
        names = sorted(set(index["weight_map"].values()))
    for name in names:
        with safe_open(checkpoint / name, "pt") as file:
            for key in file.keys():  # noqa: SIM118 - not a mapping
                yield key, file.get_tensor(key)


def as_sharded(value: Any, weight: torch.Tensor) -> Any:
    """This process's part of a whole tensor, as `weight` is sharded; anything else as it is."""
    if not isinstance(weight, DTensor) or not isinstance(value, torch.Tensor) or value.shape != weight.shape:
        return value
    whole = value.to(weight.device_mesh.device_type)
    # Every process has read the same file, so none has to send.
    return distribute_tensor(whole, weight.device_mesh, weight.placements, src_data_rank=None)
