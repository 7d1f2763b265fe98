"""The shape of a model: what its configuration says, without its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rrr_core.generation import ModelSettings
from rrr_core.training.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that decide a model's memory and time."""

    parameters: int
    embedding: int
    """Weights of the embedding table, which tokens look up and do not multiply with."""
    hidden: int
    layers: int
    attention: int
    """Heads times their size."""
    cached: int
    """Key heads times their size: what a token keeps of keys in a layer, and of values."""
    intermediate: int
    vocabulary: int
    experts: int = 1
    active_experts: int = 1
    """Feed-forward networks of a layer that a token goes through."""
    context: int | None = None

    @property
    def active_intermediate(self) -> int:
        """The feed-forward width that a token goes through."""
        return self.intermediate * self.active_experts

    @property
    def layer_parameters(self) -> int:
        return (self.parameters - self.embedding) // max(self.layers, 1)

    @property
    def active_parameters(self) -> int:
        """Parameters that a token goes through: all but the experts that it does not."""
        idle = (self.experts - self.active_experts) * 3 * self.hidden * self.intermediate * self.layers
        return max(self.parameters - idle, 0)


def shape_of(network: Any) -> Shape:
    """The shape of a network, which may be on the meta device."""
    config = network.config.get_text_config()
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    keys = getattr(config, "num_key_value_heads", None) or heads
    experts = _first(config, "num_local_experts", "num_experts", "n_routed_experts") or 1
    active = _first(config, "num_experts_per_tok", "num_experts_per_token") or 1
    wide = _first(config, "intermediate_size", "n_inner", "ffn_dim") or 4 * config.hidden_size
    if experts > 1:
        wide = _first(config, "moe_intermediate_size") or wide
    return Shape(
        parameters=sum(weight.numel() for weight in network.parameters()),
        embedding=network.get_input_embeddings().weight.numel(),
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        attention=heads * size,
        cached=keys * size,
        intermediate=wide,
        vocabulary=config.vocab_size,
        experts=experts,
        active_experts=active,
        context=getattr(config, "max_position_embeddings", None),
    )


def _first(config: Any, *names: str) -> int | None:
    return next((value for name in names if isinstance(value := getattr(config, name, None), int) and value), None)


def trainable_of(settings: TrainSettings, network: Any) -> int:
    """Weights that get a gradient."""
    from rrr_core.training.preflight import trained_weights

    return int(trained_weights(settings, network))


BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def stored_dtype(settings: ModelSettings) -> str:
    """The type of weights where nothing is trained: as the user says, or as the configuration has it."""
    if settings.dtype != "auto":
        return settings.dtype
    from rrr_core.generation.hub import locate
    from rrr_core.generation.model_files import load_tokenizer

    # A network made for training has a configuration with the dtype of training.
    config, _ = load_tokenizer(locate(settings.named, settings.revision), settings.named)
    stored = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
    return stored if stored in BYTES else "float32"
