"""Preparing a causal language model for packed passes, in which a group's prompt is computed once."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from rrr_core.generation.kv_cache import without_adapters
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


def can_share(network: Any) -> str | None:
    """Prepare a causal language model for packed passes; None if that worked, else why not, in a few words.

    A model has to pass a trial: on two short prompts with three completions, each of its layers must attend through
    the packing, and the log-probabilities must be those of the unpacked pass.
    """
    reason = obstacle(network)
    if reason is not None:
        return reason
    network = without_adapters(network)
    config, backbone = network.config.get_text_config(), network.base_model
    implementation = str(config._attn_implementation)
    _patch_attention(implementation)
    if not getattr(backbone, "_scores_completions", False):
        backbone.register_forward_hook(_keep_completions, with_kwargs=True)
        backbone._scores_completions = True
    return _trial(network, config)


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


PROMPTS, COMPLETIONS = (9, 5), ((0, 3), (0, 1), (1, 4))
"""The lengths of the trial's prompts, and its completions as (prompt, length)."""


def _trial(network: Any, config: Any) -> str | None:
    source = torch.Generator().manual_seed(0)
    device = network.get_input_embeddings().weight.device
    edge, width = max(PROMPTS), max(length for _, length in COMPLETIONS)
    prompts = [torch.randint(config.vocab_size, (length,), generator=source) for length in PROMPTS]
    ids = torch.zeros(len(COMPLETIONS), edge + width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (owner, length) in enumerate(COMPLETIONS):
        start, end = edge - PROMPTS[owner], edge + length
        ids[row, start:end] = torch.cat([prompts[owner], torch.randint(config.vocab_size, (length,), generator=source)])
        mask[row, start:end] = 1
    packing = Packing(ids.to(device), mask.to(device), width)
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            packed = packing.padded(_of_labels(network(**inputs_of(packing)).logits, packing.labels)).cpu()
            for row, (owner, length) in enumerate(COMPLETIONS):
                alone = ids[row, edge - PROMPTS[owner] : edge + length].to(device)
                logits = network(input_ids=alone[None], use_cache=False).logits[:, -length - 1 : -1]
                expected = _of_labels(logits, alone[None, -length:])[0].cpu()
                tolerance = 1e-3 if expected.dtype == torch.float32 and logits.dtype == torch.float32 else 0.15
                if not torch.allclose(packed[row, :length], expected, rtol=tolerance, atol=tolerance):
                    return "its log-probabilities differ"
    except Exception as error:  # noqa: BLE001 - a foreign architecture fails in its own way; the reason is returned
        return f"it fails on a packed pass: {' '.join(str(error).split())[:200]}"
    finally:
        for module, mode in modes:
            module.training = mode
    if packing.layers != config.num_hidden_layers:
        return f"{packing.layers} of its {config.num_hidden_layers} layers attend through transformers' interface"
    return None


def _of_labels(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (1, R) in float32 of labels (1, R), each predicted by the logits (1, R, V) in its place."""
    return logits.float().log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
