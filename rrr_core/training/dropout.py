"""Dropout off in training: a text is scored several times, and its log-probabilities have to agree.

TRL's own `disable_dropout` zeroes dropout modules alone. Attention functions read a probability from their module, some
layers from a configuration, and a few models skip whole layers or add noise to the router.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

WORDS = ("dropout", "pdrop", "layerdrop", "drop_path", "jitter_noise", "drop_rate", "drop_prob")
"""What the names of such probabilities hold."""


@contextmanager
def without_dropout(*networks: Any) -> Iterator[None]:
    """Every probability of dropout in the networks, their modules and configurations, is zero inside."""
    holders = {id(holder): holder for network in networks for holder in _holders(network)}
    changed = [(holder, name, value) for holder in holders.values() for name, value in _probabilities(holder)]
    for holder, name, _ in changed:
        setattr(holder, name, 0.0)
    try:
        yield
    finally:
        for holder, name, value in changed:
            setattr(holder, name, value)


def _holders(network: Any) -> Iterator[Any]:
    for module in network.modules():
        yield module
        config = getattr(module, "config", None)
        if config is not None and hasattr(config, "get_text_config"):
            yield config
            yield config.get_text_config()


def _probabilities(holder: Any) -> list[tuple[str, float]]:
    """Names and values of a module's or a configuration's own probabilities that are not zero."""
    is_dropout = isinstance(holder, torch.nn.modules.dropout._DropoutNd)
    return [
        (name, value)
        for name, value in vars(holder).items()
        if isinstance(value, float) and value and ((is_dropout and name == "p") or any(word in name for word in WORDS))
    ]
