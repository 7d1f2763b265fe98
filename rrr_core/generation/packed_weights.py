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

from rrr_core.generation.products import FastLinear, is_wide, pack, packing_pays
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
        self._made: dict[FastLinear, torch.Tensor | None] = {}

    @contextmanager
    def used_by(self, network: Any, *, keep: bool) -> Iterator[None]:
        """Have the network's linear layers use packed weights inside, where that pays and there is room for them.

        `keep` says whether those weights are still the network's at the next call.
        """
        layers = [each for each in network.modules() if isinstance(each, FastLinear)] if self._fit(network) else []
        try:
            for layer in layers:
                if layer not in self._made:
                    self._made[layer] = pack(layer.weight)
                layer.packed = self._made[layer]
            yield
        finally:
            for layer in layers:
                layer.packed = None
            if not keep:
                self.drop()

    def drop(self) -> None:
        """Forget the copies: the weights may change, or nothing is written for a while."""
        self._made.clear()

    def _fit(self, network: Any) -> bool:
        processes = world_of(os.environ).local_size
        return network.device.type == "cpu" and packed_bytes(network, network.dtype, processes) > 0


def packed_bytes(network: Any, dtype: torch.dtype, processes: int) -> int:
    """Bytes of a network's packed weights of this type on a CPU; 0 if they do not pay, or take more than their share.

    That is an equal part for each of the machine's processes.
    """
    linear = (each.weight for each in network.modules() if isinstance(each, nn.Linear) and is_wide(each))
    found = sum(weight.numel() for weight in linear if packing_pays(weight, dtype)) * dtype.itemsize
    return found if found * SHARE * processes <= machine_bytes() else 0
