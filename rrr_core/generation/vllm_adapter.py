"""Adapter-only sync: LoRA's weights go to vLLM, which computes them beside its own, instead of merged whole weights.

An adapter is a hundredth of the model, so that is what one sync sends. Each gets a name of its own, since vLLM's prefix
cache knows adapters by their names.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from rrr_core.generation.kv_cache import without_adapters

PREFIX = "rrr-policy-"
"""How the names of synced adapters begin."""
PARTS = ("modules_to_save", "layers_pattern", "rank_pattern", "alpha_pattern", "target_parameters")
"""Settings of LoRA that vLLM does not take, or takes in ways of its own."""


def rank_of(network: Any) -> int | None:
    """The rank of a network's LoRA adapter if vLLM can take it as it is; None for another network or adapter."""
    if without_adapters(network) is network or list(network.peft_config) != ["default"]:
        return None
    from peft import LoraConfig  # there, since the network has an adapter

    config = network.peft_config["default"]
    if not isinstance(config, LoraConfig) or config.use_dora or config.bias != "none":
        return None
    if any(getattr(config, part, None) for part in PARTS):
        return None
    return int(config.r)


def write_adapter(network: Any, folder: Path) -> None:
    """Write a network's adapter as vLLM reads it: peft's two files."""
    network.save_pretrained(str(folder), save_embedding_layers=False)


class AdapterNames:
    """Names of the adapters that one engine was given, in turn."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.current: str | None = None
        """The adapter that writes; None before the first."""

    def next(self) -> str:
        """A name that was not used before."""
        return f"{PREFIX}{next(self._numbers)}"
