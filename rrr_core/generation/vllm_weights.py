"""Weight sync: the weights of a network in training, loaded into a vLLM engine's model.

Names and shapes are those of the model's files, which vLLM knows how to load; what it fuses (q, k and v, gate and up)
it fuses again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from transformers.core_model_loading import revert_weight_conversion

from rrr_core.errors import ModelError
from rrr_core.generation.kv_cache import without_adapters


def file_weights(network: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, weight) of every parameter, as `save_pretrained` would write them; tied weights once.

    LoRA adapters are merged into copies of the weights they adapt. The network's own weights are not touched, so no
    rounding from merging and unmerging accumulates over the steps.
    Raises ModelError for an adapter of another kind, and for weights sharded over processes.
    """
    plain = without_adapters(network)
    weights = dict(_merged(plain))
    for name, weight in weights.items():
        if weight.numel() == 0 or hasattr(weight, "full_tensor"):
            raise ModelError(
                f"The weight {name} is sharded over processes (DeepSpeed ZeRO-3 or FSDP), and cannot be given to vLLM:"
                " train with --backend transformers, or with whole weights in every process."
            )
    yield from revert_weight_conversion(plain, weights).items()


def _merged(network: Any) -> Iterator[tuple[str, torch.Tensor]]:
    adapted = {name: module for name, module in network.named_modules() if hasattr(module, "base_layer")}
    for name, parameter in network.named_parameters():
        owner, _, inner = name.partition(".base_layer.")
        if inner and owner in adapted:
            weight = parameter.detach()
            yield f"{owner}.{inner}", weight + _delta(adapted[owner], owner) if inner == "weight" else weight
        elif not any(name.startswith(f"{owner}.") for owner in adapted):
            yield name, parameter.detach()


def _delta(module: Any, name: str) -> torch.Tensor:
    """The sum of what a layer's active LoRA adapters add to its weight."""
    if not hasattr(module, "get_delta_weight") or any(getattr(module, "use_dora", {}).values()):
        raise ModelError(f"The adapter on {name} is not LoRA: merge it into its model, or use --backend transformers.")
    with torch.no_grad():
        deltas = [module.get_delta_weight(adapter) for adapter in module.active_adapters]
        return torch.stack(deltas).sum(0)


def take_weights(model: Any, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Load (name, weight) pairs into vLLM's `model`. Raises ModelError if a parameter of the model got none.

    With LoRA enabled parameters are those of base layers: vLLM 0.30 says so of what it loaded, 0.31 does not.
    """
    try:
        loaded = model.load_weights(weights)
    except Exception as error:  # vLLM's loaders raise KeyError, ValueError, AssertionError, RuntimeError…
        raise ModelError(f"vLLM cannot take the trained weights: {type(error).__name__}: {error}") from error
    if not isinstance(loaded, set):
        return
    left = sorted({_plain(name) for name, _ in model.named_parameters()} - set(map(_plain, loaded)))
    if left:
        raise ModelError(f"vLLM's model kept {len(left)} of its old weights, such as {left[0]}: use another backend.")


def _plain(name: str) -> str:
    return name.replace(".base_layer.", ".")
