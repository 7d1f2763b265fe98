"""Dropout off in training: a text is scored several times, and its log-probabilities have to agree.

TRL's own `disable_dropout` zeroes dropout modules alone. Attention functions read a probability from their module, some
layers from a configuration, and a few models skip whole layers or add noise before their experts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from rrr_core.errors import ModelError
from rrr_core.generation.kv_cache import without_adapters

JITTER = frozenset({"jitter_noise", "input_jitter_noise", "moe_jitter_eps"})
"""Names of a mixture of experts' noise in training. PhiMoE's `router_jitter_noise` is none: it acts in use as well."""


TOLERANCE = 1e-3
"""Share of the logits' spread by which two passes may differ: the same kernels run in both modes."""


TOKENS = 128
"""Length of the passes that are compared."""


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


def check_pass(network: Any) -> None:
    """Raise ModelError for a network whose pass in training mode differs from the one that writes its texts.

    Call it within `without_dropout`: nothing that is left may depend on the mode.
    """
    embedding = network.get_input_embeddings().weight
    longest = getattr(network.config.get_text_config(), "max_position_embeddings", None) or TOKENS
    ids = torch.arange(min(TOKENS, longest), device=embedding.device)[None] % len(embedding)
    modes = [(module, module.training) for module in network.modules()]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[ids.device] if ids.device.type == "cuda" else []):
            training, use = (network.train(mode)(input_ids=ids, use_cache=False).logits for mode in (True, False))
    finally:
        for module, mode in modes:
            module.training = mode
    if float((training - use).abs().max()) > TOLERANCE * float(use.std()):
        raise ModelError(
            f"{type(without_adapters(network)).__name__} computes other log-probabilities in training than in use, even"
            " without dropout, so its texts cannot be scored: use another model."
        )


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
        if isinstance(value, float) and value and ((is_dropout and name == "p") or "drop" in name or name in JITTER)
    ]
