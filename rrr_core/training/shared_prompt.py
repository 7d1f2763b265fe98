"""Preparing a causal language model for packed passes, in which a group's prompt is computed once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from rrr_core.generation.kv_cache import without_adapters
from rrr_core.generation.trial import Sample, Score, evaluating
from rrr_core.training.packing import Packing, inputs_of


def obstacle(network: Any) -> str | None:
    """Why a model cannot share prompts, as far as that shows without its weights; None if nothing speaks against it."""
    network = without_adapters(network)
    implementation = str(network.config.get_text_config()._attn_implementation)
    backbone = network.base_model
    if network.config.is_encoder_decoder or backbone is network:
        return "it is not a decoder with a head of its own"
    if implementation != "sdpa" and not _is_flash(implementation):
        return f"its attention is {implementation}, not sdpa or flash_attention"
    parameters = inspect.signature(backbone.forward).parameters.values()
    if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
        return "it passes no extra arguments to its layers"
    return None


def can_share(network: Any, sample: Sample | None = None) -> str | None:
    """Prepare a causal language model for packed passes; None if that worked, else why not, in a few words.

    A model has to pass a trial on the sample, by default one longer than its sliding window: each of its layers must
    attend through the packing, and the log-probabilities must be those of the sequences alone.
    """
    reason = prepare(network)
    if reason is not None:
        return reason
    sample = sample or Sample.beyond_window(without_adapters(network).config.get_text_config())
    with torch.no_grad(), evaluating(network):
        found = sample.tried(packed_score(network), sample.alone(network))
        return found.wrong(lambda: sample.noise(network))


def packed_score(network: Any, compute: Callable[[Packing], torch.Tensor] | None = None) -> Score:
    """A packed pass as a trial runs it; it raises ValueError if a layer ignores the packing.

    `compute` gives the log-probabilities (1, N) of a packing's labels; by default with the network's own head.
    """

    def own_head(packing: Packing) -> torch.Tensor:
        # The last ones: a model that calls its decoder past its backbone, as OPT does, gives the prompts' as well.
        logits = network(**inputs_of(packing)).logits[:, -packing.labels.shape[1] :].float()
        return logits.log_softmax(-1).gather(-1, packing.labels.clamp(min=0)[..., None])[..., 0]

    def score(ids: torch.Tensor, mask: torch.Tensor, width: int) -> torch.Tensor:
        packing = Packing(ids, mask, width)
        values = packing.padded((compute or own_head)(packing))
        layers = without_adapters(network).config.get_text_config().num_hidden_layers
        if packing.layers != layers:
            raise ValueError(f"{packing.layers} of its {layers} layers attend through transformers' interface")
        return values

    return score


def prepare(network: Any) -> str | None:
    """Have a causal language model take packed passes; None if it may, else why not, in a few words."""
    reason = obstacle(network)
    if reason is not None:
        return reason
    network = without_adapters(network)
    backbone = network.base_model
    _patch_attention(str(network.config.get_text_config()._attn_implementation))
    if not getattr(backbone, "_scores_completions", False):
        backbone.register_forward_hook(_keep_completions, with_kwargs=True)
        backbone._scores_completions = True
    return None


def _is_flash(implementation: str) -> bool:
    return "flash" in implementation and "flex" not in implementation


def _patch_attention(implementation: str) -> None:
    """Let transformers' attention function of that name take packings; without one it is unchanged."""
    attention = ALL_ATTENTION_FUNCTIONS[implementation]
    if getattr(attention, "takes_packings", False):
        return
    is_flash = _is_flash(implementation)

    def attend(
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        *arguments: Any,
        shared_prompt: Packing | None = None,
        **keywords: Any,
    ) -> Any:
        if shared_prompt is None:
            return attention(module, query, key, value, attention_mask, *arguments, **keywords)
        keywords.pop("position_ids", None)  # FlashAttention would look for its own packed sequences in it
        return shared_prompt.attend(attention, module, query, key, value, is_flash, **keywords)

    attend.takes_packings = True  # type: ignore[attr-defined]
    AttentionInterface.register(implementation, attend)


def _keep_completions(_module: Any, _arguments: Any, keywords: dict[str, Any], output: Any) -> Any:
    """A hook on the backbone: only the completions' hidden states of a packed pass reach the head."""
    packing = keywords.get("shared_prompt")
    if packing is not None:
        output.last_hidden_state = output.last_hidden_state[:, packing.prompt_tokens :]
    return output
