"""Packed weights: laid out once for oneDNN's products while a network writes texts on a CPU.

Decoding multiplies a few rows with every weight, token after token. oneDNN and MKL bring a weight into the order of a
processor's tiles in each call, which takes as long as multiplying sixteen rows with it. A packed copy is made once and
serves until the weights change; what is trained keeps its plain weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from rrr_core.generation.products import FastLinear, is_wide, pack, packed_types, packing_pays
from rrr_core.processes.memory import machine_bytes
from rrr_core.processes.world import world_of

SHARE = 8
"""Packed copies take at most this part of the machine's memory. Of all of it, not of what is free, since a resumed run
must compute the same bits."""


class PackedWeights:
    """The packed copies for one engine, which drops them before weights change.

    They cannot find that out: torch 2.13's fused optimisers, the Trainer's default, count no new version of a weight.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[FastLinear, torch.dtype], tuple[nn.Parameter, torch.Tensor | None]] = {}
        self._types: frozenset[torch.dtype] = frozenset()
        """Those whose copies there is room for."""

    @contextmanager
    def used_by(self, network: Any, *, keep: bool) -> Iterator[None]:
        """Have the network's linear layers use packed weights inside, where that pays and there is room for them.

        `keep` says whether those weights are still the network's at the next call.
        """
        is_here = bool(packed_types()) and network.device.type == "cpu"
        layers = [each for each in network.modules() if isinstance(each, FastLinear)] if is_here else []
        if layers:
            processes = world_of(os.environ).local_size
            self._types = frozenset(each for each in packed_types() if packed_bytes(network, each, processes))
        before = [layer.packer for layer in layers]
        try:
            for layer in layers:
                layer.packer = self
            yield
        finally:
            for layer, other in zip(layers, before, strict=True):
                layer.packer = other
            if not keep:
                self.drop()

    def packed(self, layer: FastLinear, dtype: torch.dtype) -> torch.Tensor | None:
        """A layer's weight as `pack` lays it out in the type that it computes in, made when it is first asked for.

        None if it stays as it is, and where the layer computes with another weight than its own parameter: peft and
        `torch.func.functional_call` put one in its place for a pass.
        """
        weight = layer._parameters.get("weight")
        if dtype not in self._types or weight is None:
            return None
        if (layer, dtype) not in self._made:
            self._made[layer, dtype] = weight, pack(weight, dtype)
        own, packed = self._made[layer, dtype]
        return packed if own is weight else None

    def drop(self) -> None:
        """Forget the copies: the weights may change, or nothing is written for a while."""
        self._made.clear()


def packed_bytes(network: Any, dtype: torch.dtype, processes: int) -> int:
    """Bytes of a network's packed weights of this type on a CPU; 0 if they do not pay, or take more than their share.

    That is an equal part for each of the machine's processes.
    """
    linear = (each.weight for each in network.modules() if type(each) in (nn.Linear, FastLinear) and is_wide(each))
    found = sum(weight.numel() for weight in linear if packing_pays(weight, dtype)) * dtype.itemsize
    return found if found and found * SHARE * processes <= machine_bytes() else 0
