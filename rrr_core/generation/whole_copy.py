"""A whole copy of a network whose weights are sharded over processes: what writes texts, and what engines are given.

A forward pass through sharded weights is a collective, so two processes whose texts have unequal lengths would wait for
each other for ever. The copy is local, and writing with it asks no other process for anything. Bringing it up to date
is a collective with equally many steps in every process: one for each parameter that is trained.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def is_sharded(weight: Any) -> bool:
    """Whether this process holds only a part of a parameter: FSDP2's or ZeRO-3's."""
    return hasattr(weight, "full_tensor") or hasattr(weight, "ds_id")


@contextmanager
def gathered(weight: Any) -> Iterator[torch.Tensor]:
    """A parameter's whole tensor, read only. All processes have to enter together."""
    if hasattr(weight, "ds_id"):
        import deepspeed

        with deepspeed.zero.GatheredParameters([weight]):
            yield weight.data
    else:
        yield weight.detach().full_tensor() if hasattr(weight, "full_tensor") else weight.detach()


class WholeCopy:
    """A network's copy as it was before its weights were sharded, brought up to date by `update`."""

    def __init__(self, network: Any, device: torch.device | None = None) -> None:
        """`device` is the copy's; by default the network's own."""
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        for module in self.network.modules():
            # A forward patched onto an instance may hold on to the network it was made for.
            module.__dict__.pop("forward", None)
        if device is not None:
            self.network.to(device)


def take_trained(whole: Any | None, network: Any) -> None:
    """Copy the trained weights of a sharded network into a whole one of the same kind, if there is one here.

    All processes have to call it together, with or without a whole network of their own.
    """
    own = {} if whole is None else dict(whole.named_parameters())
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.requires_grad:
                with gathered(weight) as tensor:
                    if whole is not None:
                        own[name].copy_(tensor)
